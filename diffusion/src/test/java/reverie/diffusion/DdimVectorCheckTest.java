// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.tensor.Device;

/** The reference file of log-probabilities and gradients, on the float64 device. */
class DdimVectorCheckTest {
  static Path file() throws URISyntaxException {
    return Path.of(DdimVectorCheckTest.class.getResource("ddim_log_prob.safetensors").toURI());
  }

  @Test
  void everyFiniteRowAgrees() throws URISyntaxException {
    List<DdimVectorCheck.Row> rows = DdimVectorCheck.run(file(), Device.reference());
    DdimVectorCheck.Row worst =
        rows.stream().max(Comparator.comparingDouble(DdimVectorCheck.Row::error)).get();
    assertEquals(72 * 3, rows.size());
    assertTrue(worst.error() < 1e-4, worst::toString);
    // 24 cases have three decisions; the other 48 end in a step without noise, where the source has
    // NaN.
    assertEquals(
        72 * 3 - 48,
        rows.stream()
            .filter(r -> r.tensor().equals("log_prob_mean"))
            .mapToInt(r -> r.rows())
            .sum());
    assertEquals(
        48,
        rows.stream()
            .filter(r -> r.tensor().equals("log_prob_mean"))
            .mapToInt(r -> r.excluded())
            .sum());
  }
}
