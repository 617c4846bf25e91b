// SPDX-License-Identifier: Apache-2.0
package reverie.app.evaluate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.Estimate;
import reverie.app.data.ImageFolder;
import reverie.app.data.ImageSet;
import reverie.app.data.ImageSize;
import reverie.app.data.PngImages;
import reverie.app.model.LoadedModel;
import reverie.app.model.ModelFolder;
import reverie.app.model.ModelPrompts;
import reverie.app.text.LetterEncoder;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/** With a network in float32 that is too small to draw anything. */
class LikelihoodsTest {
  private static final LetterEncoder ENCODER = new LetterEncoder();
  @TempDir static Path folder;

  @BeforeAll
  static void makeAModelAndImages() {
    UNetConfig config =
        UNetConfig.parse(
            """
            {"_class_name": "UNet2DConditionModel", "sample_size": 4, "in_channels": 3, "out_channels": 3,
             "down_block_types": ["CrossAttnDownBlock2D"], "mid_block_type": "UNetMidBlock2DCrossAttn",
             "up_block_types": ["CrossAttnUpBlock2D"], "block_out_channels": [4], "layers_per_block": 1,
             "attention_head_dim": 2, "cross_attention_dim": %d, "norm_num_groups": 2}
            """
                .formatted(ENCODER.dimensions()));
    try (UNet unet = UNet.random(config, Device.cpu(), Rng.of(2))) {
      new ModelFolder(unet, SchedulerConfig.defaults(), ENCODER.identity(), ModelPrompts.UNKNOWN)
          .write(folder.resolve("model"));
    }
    PngImages.write(
        folder.resolve("a_red_one.png"), new BufferedImage(4, 4, BufferedImage.TYPE_INT_RGB));
    PngImages.write(
        folder.resolve("large.png"), new BufferedImage(5, 5, BufferedImage.TYPE_INT_RGB));
  }

  private static Likelihoods.Result measure(String file, int probes, boolean noise) {
    ImageSet set = ImageFolder.readAll(List.of(folder.resolve(file)));
    ImageSet.Item item = set.items().getFirst();
    try (LoadedModel model =
            LoadedModel.read(
                folder.resolve("model").toString(),
                new FinetuneConfig.Sampling(
                    5,
                    FinetuneConfig.Scheduler.DDIM,
                    Optional.of(1.0),
                    false,
                    1,
                    16,
                    ImageSize.OWN),
                ENCODER,
                Device.cpu(),
                DType.F32);
        Likelihoods likelihoods =
            new Likelihoods(
                model, ENCODER, Device.cpu(), new Likelihoods.Options(probes, 1e-2, 4, noise, 1))) {
      return likelihoods.of(set, item, item.prompt(), _ -> {});
    }
  }

  @Test
  void probesAgreeWithTheExactTrace() {
    Likelihoods.Result exact = measure("a_red_one.png", 0, true);
    Estimate probes = measure("a_red_one.png", 20, true).flow();
    assertEquals(1, exact.flow().n());
    assertEquals(20, probes.n());
    // The interval of 95 % is two standard errors wide to each side; five are allowed.
    assertEquals(exact.flow().mean(), probes.mean(), 2.5 * (probes.high() - probes.mean()) + 0.05);
    assertEquals(4, exact.bound().n());
    assertTrue(Double.isFinite(exact.bound().mean()));
    assertNotEquals(exact.bound().mean(), measure("a_red_one.png", 2, false).bound().mean());
  }

  @Test
  void noiseIsAsWideAsALevel() {
    Rng levels = Rng.of(1);
    double[] noise =
        IntStream.range(0, 2000).mapToDouble(i -> Likelihoods.noise(levels, i)).toArray();
    double half = 1.0 / 255;
    assertEquals(-half, Arrays.stream(noise).min().orElseThrow(), 0.02 * half);
    assertEquals(half, Arrays.stream(noise).max().orElseThrow(), 0.02 * half);
    assertTrue(Arrays.stream(noise).allMatch(v -> Math.abs(v) <= half));
  }

  @Test
  void anImageOfAnotherSizeIsRefused() {
    ReverieException error =
        assertThrows(ReverieException.class, () -> measure("large.png", 2, true));
    assertTrue(
        error.getMessage().contains("is 5×5, but the model's images are 4×4"), error::getMessage);
    assertThrows(ReverieException.class, () -> measure("absent.png", 2, true));
  }
}
