// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import reverie.app.config.Configuration;
import reverie.app.config.FinetuneConfig;
import reverie.app.model.ModelFolder;
import reverie.app.model.ModelPrompts;
import reverie.app.run.RunFolder;
import reverie.app.text.LetterEncoder;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/** A fine-tuning of two epochs that takes less than a second. */
record TinyRun(Path folder) {
  private static final PrintWriter NOWHERE = new PrintWriter(Writer.nullWriter());

  /** Makes the model and the prompts. */
  static TinyRun in(Path folder) throws IOException {
    Files.writeString(folder.resolve("prompts.txt"), "a cat\na dog\n");
    UNetConfig config =
        UNetConfig.parse(
            """
            {"_class_name": "UNet2DConditionModel", "sample_size": 8, "in_channels": 3, "out_channels": 3,
             "down_block_types": ["CrossAttnDownBlock2D"], "mid_block_type": "UNetMidBlock2DCrossAttn",
             "up_block_types": ["CrossAttnUpBlock2D"], "block_out_channels": [4], "layers_per_block": 1,
             "attention_head_dim": 2, "cross_attention_dim": 1, "norm_num_groups": 2}
            """);
    try (UNet unet = UNet.random(config, Device.cpu(), Rng.of(2))) {
      new ModelFolder(
              unet,
              SchedulerConfig.defaults(),
              new LetterEncoder().identity(),
              ModelPrompts.UNKNOWN)
          .write(folder.resolve("model"));
    }
    return new TinyRun(folder);
  }

  /** Makes a model without prompts. */
  static void unconditional(Path model) {
    UNetConfig config =
        UNetConfig.parse(
            """
            {"_class_name": "UNet2DModel", "sample_size": 8, "down_block_types": ["DownBlock2D"],
             "up_block_types": ["UpBlock2D"], "block_out_channels": [4], "layers_per_block": 1,
             "attention_head_dim": 2, "norm_num_groups": 2}
            """);
    try (UNet unet = UNet.random(config, Device.cpu(), Rng.of(2))) {
      new ModelFolder(unet, SchedulerConfig.defaults(), "", ModelPrompts.UNKNOWN).write(model);
    }
  }

  /** Begins a run, or goes on with it. */
  void finetune(Path path, String... more) {
    finetune(path, () -> false, more);
  }

  /** The same until something is so. */
  void finetune(Path path, BooleanSupplier stop, String... more) {
    List<String> settings =
        new ArrayList<>(
            List.of(
                "model=" + folder.resolve("model"),
                "prompts.source=" + folder.resolve("prompts.txt"),
                "epochs=2",
                "prompts.per_epoch=2",
                "prompts.images_each=2",
                "sampling.steps=2",
                "evaluation.samples=2",
                "evaluation.every_samples=2",
                "evaluation.every=1"));
    settings.addAll(List.of(more));
    Configuration<FinetuneConfig> config = FinetuneConfig.READER.read(null, null, settings);
    try (Finetuning finetuning = new Finetuning(config.value(), new LetterEncoder(), Device.cpu());
        RunFolder run =
            Files.exists(path.resolve(RunFolder.CONFIG))
                ? RunFolder.resume(path, config, NOWHERE)
                : RunFolder.create(path, config, List.of("test"), NOWHERE)) {
      finetuning.run(run, stop);
    }
  }
}
