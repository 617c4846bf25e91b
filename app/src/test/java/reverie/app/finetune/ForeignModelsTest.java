// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import reverie.app.model.ModelFolder;
import reverie.app.model.ModelPrompts;
import reverie.app.report.Summary;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/** Models of other makers: other sizes, one channel, no prompts, another text encoder. */
class ForeignModelsTest extends IconRuns {
  /** Somebody else's model: other sizes, one channel, no prompts. */
  @Test
  void modelsOfOtherImagesAreTrainedOnTheirOwnPrompts() throws IOException {
    Path model = folder.resolve("model");
    try (UNet unet = UNet.random(shape(8, 1, true), Device.cpu(), Rng.of(3))) {
      new ModelFolder(
              unet,
              SchedulerConfig.defaults(),
              ENCODER.identity(),
              new ModelPrompts(List.of("a red cat", "a dog")))
          .write(model);
    }
    Path run = folder.resolve("run");
    finetune(run, false, () -> false, "model=" + model, "epochs=1");
    Summary summary = Summary.read(run).orElseThrow();
    assertEquals(0, summary.retrievalAfter().n());
    assertEquals(0, summary.heldoutAfter().n());
    assertTrue(Files.readString(run.resolve("report.html")).contains("a red cat"));
    assertFalse(Files.readString(run.resolve("log.txt")).contains("recognised"));
    assertEquals(
        List.of("a red cat", "a dog"), Files.readAllLines(run.resolve("model/prompts.txt")));
    assertMessage("compares with the icons", "model=" + model, "reward.name=recognised");
    assertMessage("compares with the icons", "model=" + model, "watch=[recognised]");
    Files.delete(model.resolve("prompts.txt"));
    assertMessage("does not say which prompts", "model=" + model);

    Path alone = folder.resolve("unconditional");
    try (UNet unet = UNet.random(shape(8, 3, false), Device.cpu(), Rng.of(3))) {
      new ModelFolder(unet, SchedulerConfig.defaults(), "", ModelPrompts.UNKNOWN).write(alone);
    }
    Path free = folder.resolve("free");
    finetune(free, false, () -> false, "model=" + alone, "epochs=1", "prompts.per_epoch=1");
    assertTrue(Files.exists(free.resolve("report.html")));
    assertMessage("the model takes no prompts", "model=" + alone, "sampling.guidance=2");
    Path latents = folder.resolve("latents");
    try (UNet unet = UNet.random(shape(8, 4, true), Device.cpu(), Rng.of(3))) {
      new ModelFolder(unet, SchedulerConfig.defaults(), ENCODER.identity(), ModelPrompts.UNKNOWN)
          .write(latents);
    }
    assertMessage("it takes 4 channels", "model=" + latents);
    Path silent = folder.resolve("silent");
    try (UNet unet = UNet.random(shape(8, 3, true), Device.cpu(), Rng.of(3))) {
      new ModelFolder(unet, SchedulerConfig.defaults(), "", ModelPrompts.UNKNOWN).write(silent);
    }
    assertMessage("does not say which text encoder", "model=" + silent);
  }

  private static UNetConfig shape(int size, int channels, boolean conditional) {
    String kind = conditional ? "CrossAttn" : "";
    return UNetConfig.parse(
        String.format(
            Locale.ROOT,
            """
            {"_class_name": "%s", "sample_size": %d, "in_channels": %d, "out_channels": %d,
             "down_block_types": ["%sDownBlock2D"], "up_block_types": ["%sUpBlock2D"],
             "block_out_channels": [4], "layers_per_block": 1, "norm_num_groups": 2,
             "attention_head_dim": 2%s}
            """,
            conditional ? "UNet2DConditionModel" : "UNet2DModel",
            size,
            channels,
            channels,
            kind,
            kind,
            conditional
                ? ", \"cross_attention_dim\": 8,"
                    + " \"mid_block_type\": \"UNetMidBlock2DCrossAttn\""
                : ""));
  }

  @Test
  void anotherTextEncoderIsRefused() throws IOException {
    Path model = folder.resolve("model");
    try (UNet unet = UNet.load(shared.resolve("model/unet"), Device.cpu())) {
      new ModelFolder(unet, SchedulerConfig.defaults(), "another", ModelPrompts.UNKNOWN)
          .write(model);
    }
    assertMessage("trained with the text encoder 'another'", "model=" + model);
  }
}
