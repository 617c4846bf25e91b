// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.autograd.optim.AdamW;
import reverie.rl.advantage.Advantages;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.rl.objective.StepObjective;
import reverie.rl.prompt.PromptSource;
import reverie.rl.prove.GaussianPolicy;
import reverie.tensor.Device;

/** Training with a KL penalty against the optimum that can be written down for a Gaussian chain. */
class ClosedFormTest {
  private static final double KL_WEIGHT = 0.5;

  /** Rewards without their mean, in their own unit, as the closed form has them. */
  private record Centred() implements Advantages {
    @Override
    public String name() {
      return "centred";
    }

    @Override
    public double[] of(List<String> prompts, double[] rewards) {
      double mean = Statistics.mean(rewards);
      return Arrays.stream(rewards).map(r -> r - mean).toArray();
    }
  }

  @Test
  void scoreFunctionReachesTheRegularisedOptimum() {
    reachesTheOptimum(new DdpoScoreFunction(), 1, 1);
  }

  @Test
  void importanceSampledReachesTheRegularisedOptimum() {
    reachesTheOptimum(new DdpoImportanceSampled(0.2, 1e9), 2, 2);
  }

  private static void reachesTheOptimum(StepObjective objective, int updates, int passes) {
    TrainerSettings settings =
        TrainerSettings.defaults()
            .but(it -> {
              it.promptsPerEpoch = 1;
              it.samplesPerPrompt = 128;
              it.samplingBatch = 128;
              it.trainingBatch = 128;
              it.updatesPerEpoch = updates;
              it.passes = passes;
              it.klWeight = KL_WEIGHT;
              it.learningRate = 4e-3;
              it.optimiser = AdamW.Options.weightDecay(0);
              it.gradientClip = 1e9;
              it.emaDecay = 0.97;
            });
    try (var gaussian = new GaussianPolicy(Device.reference());
        Trainer trainer =
            new Trainer(
                gaussian.policy(),
                objective,
                new Centred(),
                PromptSource.of("x"),
                GaussianPolicy.SAMPLE,
                settings)) {
      assertEquals(0, trainer.epoch().ratioDeviation());
      trainer.run(160 / (updates * passes));
      double[] optimum = gaussian.chain().optimum(1, KL_WEIGHT);
      double[] reached = trainer.average().orElseThrow().get("biases").value().toDoubles();
      double best = gaussian.shift(optimum);
      double shift = gaussian.shift(reached);
      assertEquals(0.25939, best, 1e-5);
      assertEquals(best, shift, 0.03);
      for (int i = 0; i < reached.length; i++) {
        assertEquals(optimum[i], reached[i], 0.03, "bias " + i);
      }
      assertTrue(trainer.epoch().klToBase() > 0);
    }
  }
}
