// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.likelihood;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import reverie.diffusion.Denoiser;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.analytic.GaussianDenoiser;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** The example of docs/likelihood.md is this one. */
class LikelihoodPageTest {
  @Test
  void theExampleWorks() {
    try (Scope _ = Scope.open("example")) {
      Device device = Device.reference();
      SchedulerConfig config = SchedulerConfig.stableDiffusion().withEndsClean(true);
      ReversePolicy policy = ReversePolicy.ddim(config, 5, 1);
      Denoiser denoiser = GaussianDenoiser.of(config.schedule(), 0.2, 0.5);
      Tensor image = device.tensor(new double[] {0.1, 0.3, 0.2, -0.4}, 2, 2, 1);
      Tensor context = null;
      // Example.
      try (var flow =
          new FlowLikelihood(config, device, denoiser, new Trace.Hutchinson(8, Rng.of(1)), 1e-3)) {
        double exact = flow.of(image, context, share -> {}).mean();
        double[] bounds =
            new VariationalBound(policy, config.prediction(), denoiser)
                .of(image, context, 16, Rng.of(1));
        // End.
        assertTrue(Arrays.stream(bounds).average().orElseThrow() < exact);
      }
    }
  }

  @Test
  void thePageShowsIt() throws IOException {
    String source =
        Files.readString(
            Path.of("src/test/java/reverie/diffusion/likelihood/LikelihoodPageTest.java"));
    String page = Files.readString(Path.of("../docs/likelihood.md"));
    assertEquals(
        between(source, "// Example.\n", "// End.\n") + "}", between(page, "```java\n", "```\n"));
  }

  /** Without white space. */
  private static String between(String text, String start, String end) {
    int from = text.indexOf(start) + start.length();
    return text.substring(from, text.indexOf(end, from)).replaceAll("\\s+", "");
  }
}
