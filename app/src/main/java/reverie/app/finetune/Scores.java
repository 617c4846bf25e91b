// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.zip.CRC32;
import reverie.app.data.Estimate;
import reverie.app.evaluate.Evaluation;
import reverie.app.report.EvaluationPoint;
import reverie.app.run.RunFolder;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What every image of an evaluation scored. Prompts and seeds are the same at every evaluation of a
 * run, so that image i of one can be compared with image i of another, and the first n of a large
 * one with those of a small one.
 *
 * @param training rewards on training prompts
 * @param heldOut rewards on held-out prompts; none where there are no such prompts
 * @param recognised 1 for images on training prompts with the right first word; none where nothing
 *     can tell
 */
record Scores(double[] training, double[] heldOut, double[] recognised) {
  private static final String FILE = "evaluation-before.json";

  /** The point of the curve: the first {@code n} images. */
  EvaluationPoint point(int epoch, double klToBase, int n) {
    return new EvaluationPoint(
        epoch,
        mean(first(training, n)),
        mean(first(heldOut, n)),
        share(first(recognised, n)),
        klToBase);
  }

  /** All images. */
  EvaluationPoint all(int epoch) {
    return point(epoch, 0, Integer.MAX_VALUE);
  }

  /** By how much the same images score more than before, on training prompts. */
  Estimate change(Scores before) {
    return difference(before.training, training);
  }

  /** The same on held-out prompts. */
  Estimate heldOutChange(Scores before) {
    return difference(before.heldOut, heldOut);
  }

  private static Estimate difference(double[] before, double[] after) {
    double[] differences = new double[Math.min(before.length, after.length)];
    Arrays.setAll(differences, i -> after[i] - before[i]);
    return mean(differences);
  }

  private static double[] first(double[] values, int n) {
    return Arrays.copyOf(values, Math.min(values.length, n));
  }

  private static Estimate mean(double... values) {
    return values.length == 0 ? Evaluation.NOTHING : Estimate.mean(values);
  }

  private static Estimate share(double... values) {
    return values.length == 0
        ? Evaluation.NOTHING
        : Estimate.proportion((int) Arrays.stream(values).sum(), values.length);
  }

  /** Tells these scores from others; the checkpoint knows that of the base model's. */
  double checksum() {
    CRC32 sum = new CRC32();
    for (double[] some : List.of(training, heldOut, recognised)) {
      ByteBuffer bytes = ByteBuffer.allocate(Double.BYTES * some.length);
      bytes.asDoubleBuffer().put(some);
      sum.update(bytes);
    }
    return sum.getValue();
  }

  /** Keeps the scores of the base model. */
  void write(RunFolder run) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("training", training);
    map.put("heldout", heldOut);
    map.put("recognised", recognised);
    run.writeJson(FILE, map);
  }

  /**
   * Those of the base model; empty if they are not there or damaged, so that they are measured
   * anew.
   */
  static Optional<Scores> read(Path folder, int samples) {
    try {
      JsonNode tree = JsonMapper.shared().readTree(Files.readAllBytes(folder.resolve(FILE)));
      Scores scores =
          new Scores(
              numbers(tree.path("training")),
              numbers(tree.path("heldout")),
              numbers(tree.path("recognised")));
      boolean whole =
          scores.training.length == samples
              && (scores.heldOut.length == 0 || scores.heldOut.length == samples)
              && (scores.recognised.length == 0 || scores.recognised.length == samples)
              && Arrays.stream(scores.training).allMatch(Double::isFinite)
              && Arrays.stream(scores.heldOut).allMatch(Double::isFinite);
      return whole ? Optional.of(scores) : Optional.empty();
    } catch (java.io.IOException | JacksonException e) {
      return Optional.empty();
    }
  }

  private static double[] numbers(JsonNode list) {
    return list.valueStream().mapToDouble(value -> value.asDouble(Double.NaN)).toArray();
  }
}
