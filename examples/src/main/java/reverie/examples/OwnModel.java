// SPDX-License-Identifier: Apache-2.0
package reverie.examples;

import java.nio.file.Path;
import java.util.Map;
import reverie.autograd.nn.Lora;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.pipeline.lora.LoraFile;
import reverie.rl.ContextEncoder;
import reverie.rl.Policy;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.JpegReward;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.unet.UNet;

/**
 * Takes an unconditional U-Net from a folder of diffusers, tunes low-rank adapters for small JPEG
 * files, and writes them as diffusers loads them: {@code OwnModel FOLDER OUT [EPOCHS]}.
 */
public final class OwnModel {
  private OwnModel() {}

  /** Runs it. */
  public static void main(String... arguments) {
    Path folder = Path.of(arguments[0]);
    Path out = Path.of(arguments[1]);
    int epochs = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 20;

    try (UNet model = UNet.load(folder, Device.cpu());
        Lora lora =
            new Lora(
                model.parameters(),
                new Lora.Size(4, 4),
                Lora::isAttentionProjection,
                Rng.of(1).fork("lora"))) {
      Denoiser tuned = model::forward;
      Denoiser base = (x, t, context) -> lora.without(() -> model.forward(x, t, context));
      int height = model.config().sampleSize().getFirst();
      int width = model.config().sampleSize().getLast();
      var policy =
          new Policy(
              ReversePolicy.ddim(SchedulerConfig.defaults(), 10, 1),
              Prediction.EPSILON,
              tuned,
              base,
              lora.parameters(),
              ContextEncoder.NONE,
              height,
              width,
              model.config().inChannels());
      var settings =
          TrainerSettings.defaults()
              .with(it -> it.promptsPerEpoch(1).learningRate(1e-3).klWeight(1e-3));
      try (var trainer =
          new Trainer(
              policy,
              new DdpoImportanceSampled(),
              new GroupAdvantages(),
              PromptSource.of("no prompt"),
              JpegReward.compressibility(),
              settings)) {
        for (int i = 0; i < epochs; i++) {
          var report = trainer.epoch();
          System.out.println(report.metrics());
        }
      }
      LoraFile.write(
          out.resolve(LoraFile.NAME),
          Map.of(LoraFile.UNET, lora),
          LoraFile.Format.DIFFUSERS,
          DType.F32);
    }
  }
}
