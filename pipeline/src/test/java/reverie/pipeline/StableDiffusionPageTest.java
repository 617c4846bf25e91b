// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.autograd.nn.Lora;
import reverie.diffusion.Decoding;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Guidance;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.Sampler;
import reverie.pipeline.lora.LoraFile;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** The example of docs/stable-diffusion.md is this one. */
class StableDiffusionPageTest {
  @TempDir private Path temporary;

  @Test
  void theExampleWorks() {
    Path folder = Samples.path("sd1_tiny");
    Path file = temporary.resolve(LoraFile.NAME);
    // Example.
    Device device = Device.cpu();
    try (StableDiffusion model = StableDiffusion.load(folder, device);
        Scope _ = Scope.open("drawing")) {
      // Twenty deterministic DDIM steps with guidance 7.5.
      ReversePolicy policy = ReversePolicy.ddim(model.scheduler(), 20, 0);
      Tensor empty = model.context(List.of(""));
      Denoiser denoiser = new Guidance(Denoiser.branching(model.unet()::forward), 7.5, empty);
      Tensor context = model.context(List.of("a photo of an astronaut riding a horse"));
      int side = model.unet().config().sampleSize().getFirst();
      Rng[] seeds = {Rng.of(1)};
      Tensor latents = new Sampler(policy, device).sample(denoiser, context, seeds, side, side, 4);
      byte[] pixels = Decoding.bytes(model.decode(latents));

      // Adapters of rank 4 on the attention of the U-Net, to be trained and kept.
      var size = new Lora.Size(4, 4);
      var unet = model.unet().parameters();
      try (Lora lora = new Lora(unet, size, Lora::isAttentionProjection, Rng.of(2))) {
        LoraFile.write(file, Map.of(LoraFile.UNET, lora), LoraFile.Format.DIFFUSERS, DType.F32);
      }
      // End.
      assertEquals(16 * 16 * 3, pixels.length);
    }
  }

  @Test
  void thePageShowsIt() throws IOException {
    String source =
        Files.readString(Path.of("src/test/java/reverie/pipeline/StableDiffusionPageTest.java"));
    String page = Files.readString(Path.of("../docs/stable-diffusion.md"));
    assertEquals(
        between(source, "// Example.\n", "// End.\n") + "}", between(page, "```java\n", "```\n"));
  }

  /** Without white space. */
  private static String between(String text, String start, String end) {
    int from = text.indexOf(start) + start.length();
    return text.substring(from, text.indexOf(end, from)).replaceAll("\\s+", "");
  }
}
