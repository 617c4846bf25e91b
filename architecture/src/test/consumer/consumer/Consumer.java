// SPDX-License-Identifier: Apache-2.0
package consumer;

import java.lang.invoke.MethodHandles;
import java.nio.file.Path;
import reverie.autograd.optim.AdamW;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.TrainingStep;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/** Trains a small U-Net for two steps, saves it and reads it back. */
public final class Consumer {
  private record Batch(Tensor images, Tensor target, Tensor timesteps) {}

  public static void main(String... arguments) {
    Path folder = Path.of(arguments[0]);
    Device device = Device.cpu();
    UNetConfig config =
        UNetConfig.parse(
            """
            {"_class_name": "UNet2DModel", "sample_size": 8, "in_channels": 3, "out_channels": 3,
             "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"],
             "block_out_channels": [8], "layers_per_block": 1, "norm_num_groups": 2}
            """);
    AdamW.Options options = AdamW.Options.weightDecay(1e-4);
    try (Scope _ = Scope.open("consumer");
        UNet model = UNet.random(config, device, Rng.of(1));
        TrainingStep step =
            new TrainingStep(model.parameters(), new TrainingStep.Settings(options, 1, 0.9));
        var pass =
            BackwardPass.of(
                MethodHandles.lookup(),
                device,
                step.gradients(),
                (Batch in) ->
                    model.forward(in.images, in.timesteps, null).sub(in.target).square().mean())) {
      Tensor noise = Rng.of(2).normal(device, 4, 8, 8, 3);
      Batch batch = new Batch(noise, noise.mul(0.5), device.full(10, 4));
      double[] losses = new double[2];
      for (int i = 0; i < losses.length; i++) {
        step.begin();
        losses[i] = pass.add(batch).sum().item();
        step.update(0.01);
      }
      model.save(folder);
      try (UNet read = UNet.load(folder, device)) {
        double difference =
            read.forward(batch.images, batch.timesteps, null)
                .sub(model.forward(batch.images, batch.timesteps, null))
                .abs()
                .max()
                .item();
        System.out.printf(
            "module %s on %s: loss fell %b, captured %b, read back with difference %s, %s, %s%n",
            Consumer.class.getModule().getName(),
            device,
            losses[1] < losses[0],
            pass.captured().isPresent(),
            difference,
            DenoisingLoss.of(SchedulerConfig.defaults()).prediction(),
            new DdpoScoreFunction());
      }
    }
  }
}
