// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.bench.measure.Roofline;
import reverie.tensor.op.Cost;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class ReportTest {
  private static final Roofline ROOFLINE = new Roofline(2, 300, 150, 20);

  private static final PeerResults.Row ROW =
      new PeerResults.Row(
          "icons-ddpo",
          250,
          1000,
          4,
          3.9,
          4.1,
          100,
          300,
          2,
          "cpu",
          "LibTorch",
          "contiguous",
          1e-5,
          List.of(250.0),
          List.of(1000.0));

  private static Results results() {
    PeerResults.Accuracy accuracy =
        new PeerResults.Accuracy("icons", "LibTorch", 1e-6, 2e-6, 3e-6, 4e-6);
    OperationRow operation =
        OperationRow.of("conv2d[1]", 1, 1e6, 1e3, new Cost(150e6, 1e6), ROOFLINE);
    return new Results(
        "./reverie bench",
        Map.of("cpu", "cpu", "threads", 2, "os", "Linux", "java", "25", "revision", "abc"),
        "cpu",
        ROOFLINE,
        new PeerResults(List.of(ROW), List.of(ROW), List.of(accuracy)),
        List.of(operation),
        List.of(new Profiled("icons-ddpo", 250, List.of(operation))),
        null);
  }

  @Test
  void theShareIsOfTheNearerLimit() {
    OperationRow computes = OperationRow.of("a", 1, 1e6, 0, new Cost(150e6, 1e6), ROOFLINE);
    assertEquals(150, computes.gflops(), 1e-9);
    assertEquals(0.5, computes.share(), 1e-9);
    OperationRow copies = OperationRow.of("b", 1, 1e6, 0, new Cost(1e6, 10e6), ROOFLINE);
    assertEquals(10, copies.gigabytes(), 1e-9);
    assertEquals(0.5, copies.share(), 1e-9);
  }

  @Test
  void theJsonHasTheAgreedNames() {
    JsonMapper json = JsonMapper.builder().build();
    JsonNode tree = json.readTree(json.writeValueAsString(results()));
    JsonNode row = tree.get("rows").get(0);
    assertEquals("icons-ddpo", row.get("name").stringValue());
    Map.of(
            "ours_ms", 250.0,
            "peer_ms", 1000.0,
            "ratio", 4.0,
            "ratio_ci95_low", 3.9,
            "ratio_ci95_high", 4.1,
            "ours_peak_mb", 100.0,
            "peer_peak_mb", 300.0,
            "threads", 2.0)
        .forEach((name, value) -> assertEquals(value, row.get(name).doubleValue(), name));
    assertEquals("cpu", row.get("cpu").stringValue());
    assertEquals(1e-6, tree.get("accuracy").get(0).get("ours_forward").doubleValue());
    assertFalse(tree.has("scaling"));
  }

  @Test
  void thePageShowsWhatWasMeasured(@TempDir Path folder) throws IOException {
    Report.write(folder, results());
    String page = Files.readString(folder.resolve("README.md"));
    assertTrue(page.contains("| icons-ddpo | 250.0 ms | 1000.0 ms | 4.00× | 3.90–4.10 |"), page);
    assertTrue(page.contains("| icons-ddpo | 100 MB | 300 MB   | 0.33"), page);
    assertTrue(page.contains("300 GFLOP/s"), page);
    assertFalse(page.contains("## Scaling"), page);
    assertTrue(Files.readString(folder.resolve("roofline.svg")).contains("conv2d"));
  }

  @Test
  void columnsAreAsWideAsTheirWidestCell() {
    assertEquals(
        """
        | a   | long |
        |-----|------|
        | 1   | 2    |
        | 333 | 4    |
        """,
        Tables.table(List.of("a", "long"), List.of(List.of("1", "2"), List.of("333", "4"))));
  }
}
