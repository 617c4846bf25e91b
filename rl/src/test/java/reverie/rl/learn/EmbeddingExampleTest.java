// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.Denoiser;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.Policy;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.Rng;

/** The example of the README: a model and a reward of one's own, trained by DDPO. */
class EmbeddingExampleTest {
  private EpochReport first;
  private EpochReport last;

  void example(Path folder) {
    // A model of your own; its parameters are what is trained.
    Parameters weights = Parameters.random(Device.cpu(), Rng.of(1));
    Conv2d layer = new Conv2d(weights.at("layer"), 3, 3, 3, 1, 1);
    Denoiser denoiser = (x, timesteps, context) -> x.add(layer.forward(x).mul(0.1));

    // Ten DDIM steps with eta 1 are the policy; pictures have 8 x 8 pixels in 3 colours.
    ReversePolicy process = ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 10, 1);
    Policy policy = new Policy(process, denoiser, weights, 8, 8, 3);

    // A reward of your own, any Java you like: how red is a picture?
    Reward red =
        Reward.perImage(
            "red",
            image ->
                Arrays.stream(image.getRGB(0, 0, 8, 8, null, 0, 8))
                    .map(pixel -> pixel >> 16 & 255)
                    .average()
                    .orElseThrow());

    var objective = new DdpoImportanceSampled();
    var prompts = PromptSource.of("anything");
    var settings = TrainerSettings.defaults().withLearningRate(0.1);
    try (weights;
        var run = new Trainer(policy, objective, new GroupAdvantages(), prompts, red, settings)) {
      first = run.epoch();
      run.run(8);
      last = run.epoch();
      run.save(folder.resolve("run.safetensors"));
    }
  }

  @Test
  void yourModelYourReward(@TempDir Path folder) {
    example(folder);
    double before = first.rewards().mean();
    double after = last.rewards().mean();
    assertTrue(after > before + 10, before + " to " + after);
    assertTrue(Files.exists(folder.resolve("run.safetensors")));
  }
}
