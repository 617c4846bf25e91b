// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.io.JsonText;
import reverie.tensor.io.Safetensors;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Compares the policy with a file of reverse chains that other code made: a safetensors file whose
 * metadata {@code cases} lists the settings. A case that names the {@code noise} of a flow is a
 * {@link FlowVectorCase}, every other a {@link DdimVectorCase}.
 */
public final class ChainVectorCheck {
  /** The metadata key by which such a file is known. */
  public static final String KEY = "cases";

  static final double DIFFERENT = Double.POSITIVE_INFINITY;

  private ChainVectorCheck() {}

  /**
   * What came out for one tensor of one case.
   *
   * @param settings the case in words
   * @param tensor which of its tensors
   * @param error the worst over the compared rows: for log-probabilities {@code |Δ|/max(1,
   *     |expected|)}, for other tensors {@code ‖Δ‖/‖expected‖}; for whole timesteps 0 if equal,
   *     else infinite
   * @param rows compared
   * @param excluded rows that are no decision (σ = 0)
   */
  public record Row(String settings, String tensor, double error, int rows, int excluded) {}

  /**
   * Compares all cases of a file.
   *
   * @param device where the policy computes
   * @return the rows of each case, in the order of the file
   * @throws ReverieException if the file lacks something, with its name
   */
  public static List<Row> run(Path path, Device device) {
    List<Row> rows = new ArrayList<>();
    try (Safetensors file = Safetensors.open(path)) {
      for (JsonNode settings : cases(path, file.metadata())) {
        var of = new VectorCase(path, file, settings);
        try (Scope _ = Scope.open("case")) {
          rows.addAll(
              settings.has(FlowVectorCase.NOISE)
                  ? new FlowVectorCase(of).compare(device)
                  : new DdimVectorCase(of).compare(device));
        }
      }
    }
    return rows;
  }

  private static JsonNode cases(Path path, Map<String, String> metadata) {
    try {
      JsonNode cases = JsonMapper.shared().readTree(metadata.getOrDefault(KEY, ""));
      if (cases.isArray()) {
        return cases;
      }
    } catch (JacksonException e) {
      throw new ReverieException(
          "chain check: the cases of " + path + " are not JSON", JsonText.problem(e), e);
    }
    throw new ReverieException(
        "chain check: " + path + " has no list of cases in its metadata",
        "is it a file of reverse chains?");
  }

  /** The larger, NaN counting as infinite. */
  static double worse(double a, double b) {
    return Double.isNaN(b) ? DIFFERENT : Math.max(a, b);
  }

  /** {@code |Δ|/max(1, |expected|)}. */
  static double gap(double actual, double expected) {
    return Math.abs(actual - expected) / Math.max(1, Math.abs(expected));
  }

  /** {@code ‖Δ‖/‖expected‖} of a part of two arrays. */
  static double distance(double[] actual, int from, double[] expected, int expectedFrom, int size) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < size; i++) {
      double e = expected[expectedFrom + i];
      difference += (actual[from + i] - e) * (actual[from + i] - e);
      norm += e * e;
    }
    return Math.sqrt(difference / norm);
  }
}
