// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.rl.Policy;
import reverie.rl.advantage.BatchAdvantages;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.advantage.GroupAdvantages.Deviation;
import reverie.rl.advantage.GroupAdvantages.Scale;
import reverie.rl.objective.DiffusionDpo;
import reverie.rl.objective.Dpok;
import reverie.rl.objective.Grpo;
import reverie.rl.objective.PlackettLuce;
import reverie.rl.objective.Ppod;
import reverie.rl.objective.Prdp;
import reverie.rl.objective.ValueFunction;
import reverie.rl.preference.Preference;
import reverie.rl.preference.PreferenceDataset;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;

/** The Java of the pages on algorithms, compiled and run; {@link AlgorithmPagesTest} compares. */
class AlgorithmExamplesTest {
  private final PromptSource prompts = PromptSource.of("a cat", "a dog", "an owl", "a bee");
  private final Reward reward = TrainerTest.BRIGHTNESS;
  private TinyModel model;
  private Policy policy;
  private List<float[]> before;

  @BeforeEach
  void make() {
    model = new TinyModel(Device.cpu());
    policy = model.policy(1, 2);
    before = TrainerTest.weights(model);
  }

  @AfterEach
  void learnt() {
    List<float[]> after = TrainerTest.weights(model);
    assertTrue(before.getFirst()[0] != after.getFirst()[0], "nothing was learnt");
    model.close();
  }

  @Test
  void prdp() {
    var objective = new Prdp(0.03, 1e-4, Prdp.Time.MEAN);
    var settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.promptsPerEpoch(4); // N
              it.samplesPerPrompt(8); // B
              it.passes(2); // K = passes · updatesPerEpoch
              it.updatesPerEpoch(1);
            });
    try (var run =
        new Trainer(policy, objective, new GroupAdvantages(), prompts, reward, settings)) {
      run.run(2);
    }
  }

  @Test
  void ppod() {
    var objective = new Ppod(Ppod.Link.SIGMOID, Ppod.Span.STEP, 0.1, 0.1);
    var settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.promptsPerEpoch(4);
              it.samplesPerPrompt(2);
              it.sharedStart(true);
              it.offline(false);
            });
    try (var run =
        new Trainer(policy, objective, new GroupAdvantages(), prompts, reward, settings)) {
      run.run(2);
    }
  }

  @Test
  void plackettLuce() {
    var objective = new PlackettLuce(0.1);
    var settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.promptsPerEpoch(4);
              it.samplesPerPrompt(4);
            });
    try (var run =
        new Trainer(policy, objective, new GroupAdvantages(), prompts, reward, settings)) {
      run.run(2);
    }
  }

  @Test
  void grpo() {
    var objective = new Grpo(1e-4, 5);
    var advantages = new GroupAdvantages(Scale.GROUP, Deviation.POPULATION);
    var settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.promptsPerEpoch(4);
              it.samplesPerPrompt(8);
              it.klWeight(0.04); // β
            });
    try (var run = new Trainer(policy, objective, advantages, prompts, reward, settings)) {
      run.run(2);
    }
  }

  @Test
  void dpok() {
    var value = new ValueFunction(256, 1e-4, 5, 256); // width, learning rate, updates, batch
    var objective = new Dpok(1e-4, 5, value); // or new DpokPublished(1e-4, value)
    var settings = TrainerSettings.defaults().withKlWeight(0.01); // β
    try (var run =
        new Trainer(policy, objective, new BatchAdvantages(), prompts, reward, settings)) {
      run.run(2);
    }
  }

  @Test
  void diffusionDpo() {
    float[] dark = {0, 0, 0, 0, 0, 0}; // [height, width, channels], −1 to 1
    float[] light = {1, 1, 1, 1, 1, 1};
    var pairs = PreferenceDataset.of(List.of(new Preference(new Prompt("a cat"), light, dark)));
    var objective = new DiffusionDpo(2000);
    var settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.promptsPerEpoch(64); // pairs per epoch: promptsPerEpoch · samplesPerPrompt
              it.samplesPerPrompt(1);
            });
    try (var run = new Trainer(policy, objective, pairs, settings)) {
      run.run(2);
    }
  }
}
