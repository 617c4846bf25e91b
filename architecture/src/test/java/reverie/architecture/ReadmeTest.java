// SPDX-License-Identifier: Apache-2.0
package reverie.architecture;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Numbers on the first page are those of the results that are kept beside it. */
class ReadmeTest {
  private static final String README = Project.read(Project.ROOT.resolve("README.md"));

  private static JsonNode json(String file) {
    return JsonMapper.shared().readTree(Project.read(Path.of(Project.ROOT + "/" + file)));
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }

  private static void says(String text) {
    assertTrue(README.contains(text), () -> "README.md should say: " + text);
  }

  /** A mean with its interval, of a number that is larger or smaller by its sign. */
  private static String bytes(JsonNode estimate, boolean bold) {
    String mean = format("%.1f", -estimate.path("mean").asDouble());
    return format(
        "%s [%.1f, %.1f]",
        bold ? "**" + mean + "**" : mean,
        -estimate.path("ci95_high").asDouble(),
        -estimate.path("ci95_low").asDouble());
  }

  private static String share(JsonNode estimate) {
    return format(
        "%s %% [%s, %s]",
        percent(estimate.path("mean")),
        percent(estimate.path("ci95_low")),
        percent(estimate.path("ci95_high")));
  }

  private static String percent(JsonNode share) {
    return format("%.1f", 100 * share.asDouble()).replaceFirst("^100\\.0$", "100");
  }

  @Test
  void quickstartReachedWhatIsKept() {
    JsonNode summary = json("docs/quickstart/summary.json");
    says("| " + bytes(summary.path("reward_before"), false) + " | ");
    says(" | " + bytes(summary.path("reward_after"), true) + " |");
    says("| " + bytes(summary.path("heldout_before"), false) + " | ");
    says(" | " + bytes(summary.path("heldout_after"), true) + " |");
    says("| " + share(summary.path("retrieval_before")) + " | ");
    says(" | " + share(summary.path("retrieval_after")) + " |");
    says(format("%.0f s", Math.floor(summary.path("seconds").asDouble())));
    says(format("%d images each", summary.path("reward_after").path("n").asInt()));
  }

  @Test
  void speedIsWhatWasMeasured() {
    List<JsonNode> steps = rows();
    double[] ratios = steps.stream().mapToDouble(step -> step.path("ratio").asDouble()).toArray();
    says(
        format(
            "%.1f to %.1f times",
            Arrays.stream(ratios).min().orElseThrow(), Arrays.stream(ratios).max().orElseThrow()));
  }

  @Test
  void memoryIsWhatWasMeasured() {
    double[] shares =
        rows().stream()
            .mapToDouble(
                row -> row.path("ours_peak_mb").asDouble() / row.path("peer_peak_mb").asDouble())
            .toArray();
    says(
        format(
            "%.0f to %.0f %% of its memory",
            100 * Arrays.stream(shares).min().orElseThrow(),
            100 * Arrays.stream(shares).max().orElseThrow()));
  }

  /** A page each. */
  @Test
  void objectivesAreCounted() throws IOException {
    try (Stream<Path> pages = Files.list(Project.ROOT.resolve("docs/algorithms"))) {
      says(format("[%d objectives]", pages.count() - 1));
    }
  }

  /** The claims of papers are numbered; that about adapters was asked by reviewers. */
  @Test
  void verdictsAreThoseOfTheStudy() {
    List<String> words = List.of("none", "one", "two", "three", "four", "five", "six");
    List<String> verdicts =
        json("docs/reproduction/results.json").properties().stream()
            .filter(claim -> claim.getKey().matches("c\\d"))
            .map(claim -> claim.getValue().path("verdict").asString())
            .toList();
    says(
        format(
            "%s of %s hold here, %s do not",
            words.get(Collections.frequency(verdicts, "held")),
            words.get(verdicts.size()),
            words.get(Collections.frequency(verdicts, "not held"))));
  }

  private static List<JsonNode> rows() {
    return StreamSupport.stream(
            json("docs/benchmarks/results.json").path("rows").spliterator(), false)
        .toList();
  }
}
