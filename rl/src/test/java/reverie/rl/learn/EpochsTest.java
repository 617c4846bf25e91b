// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.autograd.nn.Parameters;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.objective.ChainObjective;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.rl.objective.RewardWeightedRegression;
import reverie.rl.objective.RolloutObjective;
import reverie.tensor.Device;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** What differs from epoch to epoch, pass to pass and update to update. */
class EpochsTest {
  private TinyModel model;

  @BeforeEach
  void make() {
    model = new TinyModel(Device.cpu());
  }

  @AfterEach
  void close() {
    model.close();
  }

  private Trainer trainer(RolloutObjective objective, TrainerSettings settings) {
    return trainer(objective, settings, TrainerListener.NONE);
  }

  private Trainer trainer(
      RolloutObjective objective, TrainerSettings settings, TrainerListener listener) {
    return new Trainer(
        model.policy(1, 2),
        objective,
        new GroupAdvantages(),
        TrainerTest.PROMPTS,
        TrainerTest.BRIGHTNESS,
        settings,
        listener);
  }

  /** Every pass goes through the samples in an order of its own. */
  @Test
  void everyPassHasAnOrderOfItsOwn() {
    List<List<Double>> seen = new ArrayList<>();
    var noting =
        new ChainObjective() {
          @Override
          public String name() {
            return "noting";
          }

          @Override
          public Tensor loss(Tensor logProb, Chains chains) {
            seen.add(Arrays.stream(chains.rewards()).boxed().toList());
            return logProb.sum();
          }
        };
    TrainerSettings settings =
        TrainerTest.settings()
            .with(it -> {
              it.promptsPerEpoch(8);
              it.samplesPerPrompt(2);
              it.passes(2);
            });
    try (Trainer trainer = trainer(noting, settings)) {
      trainer.epoch();
    }
    assertEquals(4, seen.size());
    assertNotEquals(seen.subList(0, 2), seen.subList(2, 4));
  }

  /** The average follows the update: after one it is 0.1 of the old weights and 0.9 of the new. */
  @Test
  void theAverageIsTakenAfterTheUpdate() {
    TrainerSettings settings =
        TrainerTest.settings()
            .with(it -> {
              it.emaDecay(0.9);
              it.updatesPerEpoch(1);
            });
    List<float[]> before = TrainerTest.weights(model);
    try (Trainer trainer = trainer(new DdpoScoreFunction(), settings)) {
      trainer.epoch();
      List<float[]> after = TrainerTest.weights(model);
      Parameters average = trainer.average().orElseThrow();
      boolean moved = false;
      for (int p = 0; p < before.size(); p++) {
        float[] averaged = average.all().get(p).value().toFloats();
        for (int i = 0; i < averaged.length; i++) {
          assertEquals(0.1 * before.get(p)[i] + 0.9 * after.get(p)[i], averaged[i], 1e-6);
          moved |= Math.abs(before.get(p)[i] - after.get(p)[i]) > 1e-3;
        }
      }
      assertTrue(moved);
    }
  }

  /** Where both updates of an epoch pull alike, a weight moves by half a rate and then by one. */
  @Test
  void theRateRisesFromUpdateToUpdate() {
    double rate = 1e-4;
    List<float[]> before = TrainerTest.weights(model);
    try (Trainer trainer =
        trainer(
            new DdpoScoreFunction(),
            TrainerTest.settings().with(it -> it.learningRate(rate).warmup(2)))) {
      trainer.epoch();
    }
    List<float[]> after = TrainerTest.weights(model);
    double most = 0;
    for (int p = 0; p < before.size(); p++) {
      for (int i = 0; i < before.get(p).length; i++) {
        most = Math.max(most, Math.abs(after.get(p)[i] - before.get(p)[i]));
      }
    }
    assertEquals(1.5 * rate, most, 0.1 * rate);
  }

  @Test
  void progressCountsEveryPass() {
    List<Integer> told = new ArrayList<>();
    var listener =
        new TrainerListener() {
          @Override
          public void trained(int epoch, int done, int total) {
            assertEquals(2 * 24 * 5, total);
            told.add(done);
          }
        };
    try (Trainer trainer =
        trainer(new DdpoScoreFunction(), TrainerTest.settings().withPasses(2), listener)) {
      trainer.epoch();
    }
    assertEquals(2 * 24 * 5, told.getLast());
  }

  /** The same samples in every epoch, and a model that hardly moves. */
  @Test
  void theDistanceToTheBaseIsTakenOfOtherSamplesEveryEpoch() {
    try (Scope _ = Scope.open("move")) {
      model.move(0.1);
    }
    TrainerSettings still = TrainerTest.settings().with(it -> it.offline(true).learningRate(1e-9));
    try (Trainer trainer = trainer(new RewardWeightedRegression(1, true, 1), still)) {
      double first = trainer.epoch().klToBase();
      double second = trainer.epoch().klToBase();
      assertTrue(first > 0 && Math.abs(second / first - 1) > 1e-3, first + " and " + second);
    }
  }
}
