// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.objective.PlackettLuce;
import reverie.rl.objective.Ppod;
import reverie.rl.objective.Prdp;
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
            .but(it -> {
              it.promptsPerEpoch = 4; // N
              it.samplesPerPrompt = 8; // B
              it.passes = 2; // K = passes · updatesPerEpoch
              it.updatesPerEpoch = 1;
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
            .but(it -> {
              it.promptsPerEpoch = 4;
              it.samplesPerPrompt = 2;
              it.sharedStart = true;
              it.offline = false;
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
            .but(it -> {
              it.promptsPerEpoch = 4;
              it.samplesPerPrompt = 4;
            });
    try (var run =
        new Trainer(policy, objective, new GroupAdvantages(), prompts, reward, settings)) {
      run.run(2);
    }
  }
}
