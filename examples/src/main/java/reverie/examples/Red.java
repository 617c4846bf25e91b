// SPDX-License-Identifier: Apache-2.0
package reverie.examples;

import java.nio.file.Path;
import java.util.Arrays;
import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.Denoiser;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.Policy;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.Rng;

/** The README's example: a model and a reward of your own, trained by DDPO. */
public final class Red {
  public static void main(String... arguments) {
    // A model of your own; its parameters are what is trained.
    Parameters weights = Parameters.random(Device.cpu(), Rng.of(1));
    Conv2d layer = new Conv2d(weights.at("layer"), 3, 3, 3, 1, 1);
    Denoiser denoiser = (x, timesteps, context) -> x.add(layer.forward(x).mul(0.1));

    // Ten DDIM steps with eta 1 are the policy; images have 8 x 8 pixels in 3 colours.
    ReversePolicy process = ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 10, 1);
    Policy policy = new Policy(process, denoiser, weights, 8, 8, 3);

    // A reward of your own, any Java you like: how red is an image?
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
    var settings = TrainerSettings.defaults().withLearningRate(0.1).withUpdatesPerEpoch(1);
    try (weights;
        var run = new Trainer(policy, objective, new GroupAdvantages(), prompts, red, settings)) {
      for (int i = 0; i < 10; i++) {
        System.out.println("red: " + run.epoch().rewards().mean());
      }
      run.save(Path.of(arguments[0], "run.safetensors"));
    }
  }
}
