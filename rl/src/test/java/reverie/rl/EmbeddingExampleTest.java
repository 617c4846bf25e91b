// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.Rng;

/** The example of the README: a model and a reward of one's own, trained by DDPO. */
class EmbeddingExampleTest {
  @Test
  void yourModelYourReward(@TempDir Path folder) {
    double first = Double.NaN;
    double last = Double.NaN;

    // A model of your own; its parameters are what is trained.
    Parameters weights = Parameters.random(Device.cpu(), Rng.of(1));
    Conv2d layer = new Conv2d(weights.at("layer"), 3, 3, 3, 1, 1);
    Denoiser denoiser = (x, timesteps, context) -> x.add(layer.forward(x).mul(0.1));

    // Ten DDIM steps with eta 1, as a policy over pictures of 8 × 8 pixels.
    ReversePolicy process = ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 10, 1);
    Policy policy =
        new Policy(
            process, Prediction.EPSILON, denoiser, null, weights, PromptEncoder.NONE, 8, 8, 3);

    // A reward of your own: how red a picture is.
    Reward red =
        Reward.named(
            "red",
            batch ->
                IntStream.range(0, batch.size())
                    .mapToDouble(i -> redness(batch.images().image(i)))
                    .toArray());

    TrainerSettings settings = TrainerSettings.defaults().but(it -> it.learningRate = 0.1);
    try (var trainer =
        new Trainer(
            policy,
            new DdpoImportanceSampled(),
            new GroupAdvantages(),
            PromptSource.of("anything"),
            red,
            settings)) {
      for (int epoch = 0; epoch < 12; epoch++) {
        EpochReport report = trainer.epoch();
        last = report.rewards().mean();
        first = epoch == 0 ? last : first;
      }
      trainer.save(folder.resolve("run.safetensors"));
    }
    weights.close();

    assertTrue(last > first + 0.05, first + " to " + last);
    assertTrue(Files.exists(folder.resolve("run.safetensors")));
  }

  private static double redness(BufferedImage image) {
    double red = 0;
    for (int pixel : image.getRGB(0, 0, 8, 8, null, 0, 8)) {
      red += (pixel >> 16 & 255) / 255.0 / 64;
    }
    return red;
  }
}
