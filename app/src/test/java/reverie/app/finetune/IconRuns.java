// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.config.Configuration;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.DataSet;
import reverie.app.model.ModelFolder;
import reverie.app.model.ModelPrompts;
import reverie.app.run.Metrics;
import reverie.app.run.RunFolder;
import reverie.app.text.PromptEncoder;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/** Runs of a model of icons that is too small to learn anything. */
abstract class IconRuns {
  private static final PrintWriter NOWHERE = new PrintWriter(Writer.nullWriter());
  static final Encoder ENCODER = new Encoder();
  static final Path WEIGHTS = Path.of("model/unet/diffusion_pytorch_model.safetensors");
  @TempDir static Path shared;
  @TempDir Path folder;

  /** Words are random numbers. */
  record Encoder() implements PromptEncoder {
    @Override
    public String identity() {
      return "words";
    }

    @Override
    public int tokens() {
      return 2;
    }

    @Override
    public int dimensions() {
      return 8;
    }

    @Override
    public float[] encode(String prompt) {
      float[] states = new float[16];
      Rng rng = Rng.of(1).fork(prompt);
      for (int i = 0; i < states.length; i++) {
        states[i] = (float) rng.uniform(i) * 2 - 1;
      }
      return states;
    }
  }

  @BeforeAll
  static void makeAModel() {
    UNetConfig config =
        UNetConfig.parse(
            """
            {"_class_name": "UNet2DConditionModel", "sample_size": 16, "in_channels": 3, "out_channels": 3,
             "down_block_types": ["CrossAttnDownBlock2D"], "mid_block_type": "UNetMidBlock2DCrossAttn",
             "up_block_types": ["CrossAttnUpBlock2D"], "block_out_channels": [4], "layers_per_block": 1,
             "attention_head_dim": 2, "cross_attention_dim": 8, "norm_num_groups": 2}
            """);
    try (UNet unet = UNet.random(config, Device.cpu(), Rng.of(2))) {
      new ModelFolder(
              unet, SchedulerConfig.defaults(), ENCODER.identity(), ModelPrompts.of(DataSet.ICONS))
          .write(shared.resolve("model"));
    }
  }

  void assertMessage(String part, String... settings) {
    Path run = folder.resolve("run" + System.nanoTime());
    ReverieException error =
        assertThrows(ReverieException.class, () -> finetune(run, false, () -> false, settings));
    assertTrue(error.getMessage().contains(part), error::getMessage);
    assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
    assertFalse(Files.exists(run), "what cannot work leaves no folder behind");
  }

  static List<Double> rewards(Path run) {
    return Metrics.read(run).stream().map(line -> line.values().get("reward_mean")).toList();
  }

  static void finetune(Path path, boolean resume, BooleanSupplier stop, String... settings) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "model=" + shared.resolve("model"),
                "epochs=2",
                "prompts.per_epoch=2",
                "prompts.images_each=2",
                "sampling.steps=2",
                "sampling.batch_size=3",
                "update.batch_size=3",
                "evaluation.samples=6",
                "evaluation.every_samples=3",
                "evaluation.every=1"));
    all.addAll(List.of(settings));
    Configuration<FinetuneConfig> config = FinetuneConfig.READER.read(null, null, all);
    try (Finetuning finetuning = new Finetuning(config.value(), ENCODER, Device.cpu());
        RunFolder run =
            resume
                ? RunFolder.resume(path, config, NOWHERE)
                : RunFolder.create(path, config, List.of("test"), NOWHERE)) {
      finetuning.run(run, stop);
    }
  }
}
