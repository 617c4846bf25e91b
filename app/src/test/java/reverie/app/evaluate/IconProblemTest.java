// SPDX-License-Identifier: Apache-2.0
package reverie.app.evaluate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.model.ModelFolder;
import reverie.app.model.ModelPrompts;
import reverie.app.text.LetterEncoder;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.choice.ChoiceStudy;
import reverie.rl.choice.Contender;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

class IconProblemTest {
  private static final Device DEVICE = Device.cpu();
  private static final LetterEncoder ENCODER = new LetterEncoder();

  /** Two prompts, and a model that is too small to learn anything. */
  private static Path model(Path folder) {
    UNetConfig config =
        UNetConfig.parse(
            """
            {"_class_name": "UNet2DConditionModel", "sample_size": 8, "in_channels": 3, "out_channels": 3,
             "down_block_types": ["CrossAttnDownBlock2D"], "mid_block_type": "UNetMidBlock2DCrossAttn",
             "up_block_types": ["CrossAttnUpBlock2D"], "block_out_channels": [4], "layers_per_block": 1,
             "attention_head_dim": 2, "cross_attention_dim": 1, "norm_num_groups": 2}
            """);
    try (UNet unet = UNet.random(config, DEVICE, Rng.of(2))) {
      new ModelFolder(
              unet,
              SchedulerConfig.flow(1),
              ENCODER.identity(),
              new ModelPrompts(List.of("cat", "horse")))
          .write(folder);
    }
    return folder;
  }

  @Test
  void everythingIsMeasuredAndNothingAtTheBeginning(@TempDir Path work) {
    Path model = model(work.resolve("model"));
    try (var untouched = new IconProblem(model, ENCODER, DEVICE, 2)) {
      Map<String, Double> measured = untouched.measure(0);
      assertEquals(0, measured.get("gain of E r"));
      assertEquals(0, measured.get("KL of samples"));
    }
    var study =
        new ChoiceStudy(() -> new IconProblem(model, ENCODER, DEVICE, 2), 1, 1, 1e-3, 0, 1, 2, 2);
    Contender chains = Contender.all(IconProblem.BETA, IconProblem.ELEMENTS, 1, 1).getFirst();
    assertTrue(study.run(chains).measured().get("KL of chains")[0] > 0);
  }
}
