// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import reverie.app.data.Estimate;
import reverie.app.files.JsonFile;
import reverie.app.run.RunFolder;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;

/**
 * The result of a fine-tuning run in numbers, {@code summary.json} in its folder.
 *
 * @param rewardBefore reward of the base model on training prompts
 * @param rewardAfter reward of the fine-tuned model there
 * @param heldoutBefore reward of the base model on held-out prompts
 * @param heldoutAfter reward of the fine-tuned model there
 * @param retrievalBefore share of right first words of the base model
 * @param retrievalAfter share of right first words of the fine-tuned model
 * @param rewardChange paired difference of the same prompts and seeds, after minus before
 * @param heldoutChange the same on held-out prompts
 * @param naturalZero whether the reward's 0 means none, so that changes can be given in per cent
 * @param rewardQueries images that the reward was asked about in training
 * @param seconds the whole run's time
 * @param peakRssMb largest resident memory, in 2^20 bytes
 * @param ratioSelfTestMaxDeviation largest |ratio − 1| before the first update
 */
public record Summary(
    Estimate rewardBefore,
    Estimate rewardAfter,
    Estimate heldoutBefore,
    Estimate heldoutAfter,
    Estimate retrievalBefore,
    Estimate retrievalAfter,
    Estimate rewardChange,
    Estimate heldoutChange,
    boolean naturalZero,
    long rewardQueries,
    double seconds,
    double peakRssMb,
    double ratioSelfTestMaxDeviation) {

  /** The file's name in the run folder. */
  public static final String FILE = "summary.json";

  private static final String HINT = "delete it; resuming the run makes it again";

  /**
   * Writes the file.
   *
   * @param run the run folder
   */
  public void write(RunFolder run) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("reward_before", rewardBefore.toMap());
    map.put("reward_after", rewardAfter.toMap());
    map.put("heldout_before", heldoutBefore.toMap());
    map.put("heldout_after", heldoutAfter.toMap());
    map.put("retrieval_before", retrievalBefore.toMap());
    map.put("retrieval_after", retrievalAfter.toMap());
    map.put("reward_change", rewardChange.toMap());
    map.put("heldout_change", heldoutChange.toMap());
    map.put("natural_zero", naturalZero);
    map.put("reward_queries", rewardQueries);
    map.put("seconds", seconds);
    map.put("peak_rss_mb", Double.isFinite(peakRssMb) ? peakRssMb : null);
    map.put("ratio_self_test_max_deviation", ratioSelfTestMaxDeviation);
    run.writeJson(FILE, map);
  }

  /**
   * Reads the file.
   *
   * @param runFolder the run folder
   * @return the summary, if it was a fine-tuning and has come to its end
   */
  public static Optional<Summary> read(Path runFolder) {
    Path file = runFolder.resolve(FILE);
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    JsonNode tree = JsonFile.readObject(file, HINT);
    if (!tree.has("reward_before")) {
      return Optional.empty();
    }
    return Optional.of(
        new Summary(
            estimate(file, tree, "reward_before"),
            estimate(file, tree, "reward_after"),
            estimate(file, tree, "heldout_before"),
            estimate(file, tree, "heldout_after"),
            estimate(file, tree, "retrieval_before"),
            estimate(file, tree, "retrieval_after"),
            estimate(file, tree, "reward_change"),
            estimate(file, tree, "heldout_change"),
            tree.path("natural_zero").asBoolean(false),
            (long) number(file, tree, "reward_queries"),
            number(file, tree, "seconds"),
            number(file, tree, "peak_rss_mb"),
            number(file, tree, "ratio_self_test_max_deviation")));
  }

  /**
   * The largest resident memory that this process has had.
   *
   * @return 2^20 bytes; NaN where the system does not tell
   */
  public static double currentPeakRssMb() {
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
      return lines
          .filter(line -> line.startsWith("VmHWM:"))
          .mapToDouble(line -> Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024)
          .findFirst()
          .orElse(Double.NaN);
    } catch (IOException e) {
      return Double.NaN;
    }
  }

  private static Estimate estimate(Path file, JsonNode tree, String key) {
    JsonNode node = tree.path(key);
    return new Estimate(
        number(file, node, "mean"),
        number(file, node, "ci95_low"),
        number(file, node, "ci95_high"),
        node.path("n").asInt(0));
  }

  /** A number; NaN where nothing was measured. */
  private static double number(Path file, JsonNode tree, String key) {
    JsonNode node = tree.path(key);
    if (!node.isNumber() && !node.isNull()) {
      throw new ReverieException(
          "read " + file + ": expected a number or null for " + key + ", got " + node, HINT);
    }
    return node.isNumber() ? node.doubleValue() : Double.NaN;
  }
}
