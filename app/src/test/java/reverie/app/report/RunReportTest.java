// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class RunReportTest {
  @TempDir Path folder;

  @Test
  void isOneFileThatNeedsNothingElse() throws IOException {
    ReportFixture.write(folder);
    String html = Files.readString(RunReport.write(folder, "Icons & rewards"));
    assertFalse(
        Pattern.compile("(src|href)=\"(?!data:)|url\\(|@import|<script").matcher(html).find());
    assertTrue(html.contains("<title>Icons &amp; rewards</title>"));
    assertTrue(html.contains("−234.0 → −180.0 (+23 %)"));
    assertTrue(html.contains("96 % → 79 %"));
    assertEquals(48, html.split("data:image/png", -1).length - 1);
    assertTrue(html.contains("<figcaption>user suit &lt;b&gt; &quot;x&quot;"));
    assertTrue(html.contains("alt=\"user suit &lt;b&gt; &quot;x&quot;\""));
    assertFalse(html.contains("user suit <b>"));
    assertEquals(8, html.split("<svg", -1).length - 1);
    assertTrue(html.contains("reverie finetune --preset quickstart"));
    assertTrue(html.contains("clip_range: 0.001"));
    assertFalse(html.contains("NaN"));
  }

  /** Without an exponent where one can do without; per cents only where 0 means none. */
  @Test
  void figuresCanBeRead() throws IOException {
    ReportFixture.write(folder);
    Path file = folder.resolve("summary.json");
    String summary =
        Files.readString(file)
            .replaceFirst("(\"mean\" : )-234.0", "$112345.6")
            .replaceFirst("(\"mean\" : )-180.0", "$10.012345");
    Files.writeString(file, summary);
    String html = Files.readString(RunReport.write(folder, "x"));
    assertTrue(html.contains("12345.6 → 0.0123 (−100 %)"), html);
    Files.writeString(file, summary.replaceFirst("\"natural_zero\".*", ""));
    html = Files.readString(RunReport.write(folder, "x"));
    assertTrue(html.contains("12345.6 → 0.0123</p>"), html);
  }

  @Test
  void showsWhatAnUnfinishedRunHas() throws IOException {
    ReportFixture.write(folder);
    Files.delete(folder.resolve("summary.json"));
    Files.writeString(folder.resolve("metrics.jsonl"), "{\"step\":0,\"lo");
    String html = Files.readString(RunReport.write(folder, "cut off"));
    assertFalse(html.contains("<svg"));
    assertTrue(html.contains("camera add"));
  }

  @Test
  void theSummaryHasExactlyItsKeys() throws IOException {
    ReportFixture.write(folder);
    JsonNode summary = new JsonMapper().readTree(Files.readString(folder.resolve("summary.json")));
    assertEquals(
        List.of(
            "reward_before",
            "reward_after",
            "heldout_before",
            "heldout_after",
            "retrieval_before",
            "retrieval_after",
            "reward_change",
            "heldout_change",
            "natural_zero",
            "reward_queries",
            "seconds",
            "peak_rss_mb",
            "ratio_self_test_max_deviation"),
        List.copyOf(summary.propertyNames()));
    assertEquals(
        List.of("mean", "ci95_low", "ci95_high", "n"),
        List.copyOf(summary.get("heldout_after").propertyNames()));
    assertEquals(-190, Summary.read(folder).orElseThrow().heldoutAfter().mean());
  }

  @Test
  void whatComesFromOutsideIsTextEverywhere() {
    assertTrue(Html.image(new byte[0], "a \" onload=x").contains("alt=\"a &quot; onload=x\""));
    assertEquals("&lt;i&gt; &amp; &quot;q&quot;", Html.escape("<i> & \"q\""));
  }

  @Test
  void aDamagedGalleryIsOneError() throws IOException {
    ReportFixture.write(folder);
    Path gallery;
    try (var files = Files.walk(folder)) {
      gallery = files.filter(f -> f.endsWith("gallery.json")).findFirst().orElseThrow();
    }
    for (String broken :
        List.of(
            "", "{", "[null]", "[{}]", "{\"a\": 1}", "[{\"file\": \"../../secret.png\"}]", "7 8")) {
      Files.writeString(gallery, broken);
      var error = assertThrows(ReverieException.class, () -> RunReport.write(folder, "x"));
      assertTrue(error.getMessage().startsWith("read " + gallery), error::getMessage);
      assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
    }
  }

  /** Whatever stands in the table of versions is shown, never an error. */
  @Test
  void oddVersionsAreShown() throws IOException {
    ReportFixture.write(folder);
    Files.writeString(
        folder.resolve("versions.json"),
        "{\"list\": [1, \"<b>\"], \"deep\": {\"a\": {\"b\": null}}, \"none\": null, \"n\": 1.5}");
    String html = Files.readString(RunReport.write(folder, "x"));
    assertTrue(html.contains("<td>[1,&quot;&lt;b&gt;&quot;]</td>"), html);
    assertTrue(html.contains("<td>a {&quot;b&quot;:null}</td>"), html);
    assertTrue(html.contains("<td>null</td>") && html.contains("<td>1.5</td>"), html);
  }

  @Test
  void measuresMemory() {
    assertTrue(Summary.currentPeakRssMb() > 10);
  }
}
