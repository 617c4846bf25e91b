// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import reverie.autograd.Tape;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.io.JsonText;
import reverie.tensor.io.Safetensors;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Compares the policy with a file of log-probabilities and gradients that the Python implementation
 * of DDPO made: a safetensors file whose metadata {@code cases} lists the settings, and for every
 * case {@code x_t}, {@code model_output}, {@code prev_sample}, {@code timestep}, {@code timesteps},
 * {@code log_prob_mean} and {@code grad_model_output} (of the sum of the log-probabilities).
 *
 * <p>The source works in float32, always goes to {@code t' = clamp(t − T/N, 0)} and has NaN or Inf
 * where σ = 0. So the schedule is taken {@linkplain NoiseSchedule#inSinglePrecision() in single
 * precision} and ends at ᾱ_0, which is the same t'; rows with σ = 0 must be no decision here and
 * not finite there, and are counted as excluded.
 */
public final class DdimVectorCheck {
  /** The metadata key by which such a file is known. */
  public static final String KEY = "cases";

  private static final double DIFFERENT = Double.POSITIVE_INFINITY;

  private DdimVectorCheck() {}

  /**
   * What came out for one tensor of one case.
   *
   * @param settings the case in words
   * @param tensor which of its tensors
   * @param error the worst over the compared rows: for the log-probability {@code |Δ|/max(1,
   *     |expected|)}, for the gradient {@code ‖Δ‖/‖expected‖}; for the timesteps 0 if equal, else
   *     infinite
   * @param rows compared
   * @param excluded rows that are no decision (σ = 0)
   */
  public record Row(String settings, String tensor, double error, int rows, int excluded) {}

  /**
   * Compares all cases of a file.
   *
   * @param device where the policy computes
   * @return three rows for each case, in the order of the file
   * @throws ReverieException if the file lacks something, with its name
   */
  public static List<Row> run(Path path, Device device) {
    List<Row> rows = new ArrayList<>();
    try (Safetensors file = Safetensors.open(path)) {
      for (JsonNode settings : cases(path, file.metadata())) {
        try (Scope _ = Scope.open("ddim case")) {
          rows.addAll(new Case(path, file, settings).compare(device));
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
          "ddim check: the cases of " + path + " are not JSON", JsonText.problem(e), e);
    }
    throw new ReverieException(
        "ddim check: " + path + " has no list of cases in its metadata",
        "is it a file of log-probabilities?");
  }

  /** One case of the file. */
  private static final class Case {
    private final Path path;
    private final Safetensors file;
    private final JsonNode settings;
    private final String prefix;
    private final int steps;
    private final double eta;
    private final SchedulerConfig config;

    Case(Path path, Safetensors file, JsonNode settings) {
      this.path = path;
      this.file = file;
      this.settings = settings;
      this.prefix = "case" + (int) number("id") + ".";
      this.steps = (int) number("steps");
      this.eta = number("eta");
      this.config =
          SchedulerConfig.parse(
              String.format(
                  Locale.ROOT,
                  """
                  {"beta_schedule": %s, "beta_start": %s, "beta_end": %s, "prediction_type": %s, "clip_sample": %s,
                   "steps_offset": %s, "set_alpha_to_one": false}\
                  """,
                  value("beta_schedule"),
                  value("beta_start"),
                  value("beta_end"),
                  value("prediction"),
                  value("clip_sample"),
                  value("steps_offset")),
              path + " " + prefix);
    }

    private JsonNode value(String key) {
      JsonNode value = settings.get(key);
      if (value == null) {
        throw new ReverieException(
            "ddim check: a case of " + path + " lacks \"" + key + "\": " + settings);
      }
      return value;
    }

    private double number(String key) {
      JsonNode value = value(key);
      if (!value.isNumber()) {
        throw new ReverieException(
            "ddim check: expected a number for \"" + key + "\" in " + path + ", got " + value);
      }
      return value.doubleValue();
    }

    List<Row> compare(Device device) {
      ReversePolicy policy =
          ReversePolicy.ddim(config, config.schedule().inSinglePrecision(), steps, eta);
      double[] grid = Arrays.stream(ints("timesteps")).asDoubleStream().toArray();
      double gridError = Arrays.equals(grid, policy.grid().timesteps()) ? 0 : DIFFERENT;

      int[] step = Arrays.stream(ints("timestep")).map(t -> indexOf(policy.grid(), t)).toArray();
      double[] expected = file.doubles(prefix + "log_prob_mean");
      double[] expectedGradient = file.doubles(prefix + "grad_model_output");
      int[] rows =
          IntStream.range(0, step.length).filter(i -> policy.isDecision(step[i])).toArray();
      double logProbError = 0;
      double gradientError = 0;
      for (int i = 0; i < step.length; i++) {
        if (policy.isDecision(step[i]) != Double.isFinite(expected[i])) {
          logProbError = DIFFERENT;
          gradientError = DIFFERENT;
        }
      }
      if (rows.length > 0 && logProbError == 0) {
        int[] chosen = Arrays.stream(rows).map(i -> step[i]).toArray();
        Tensor x = tensor(device, "x_t", rows);
        Tensor output = tensor(device, "model_output", rows);
        Tensor next = tensor(device, "prev_sample", rows);
        Tensor[] logProb = new Tensor[1];
        Tape.Result result =
            Tape.run(
                List.of(output),
                () -> {
                  logProb[0] = policy.logProb(next, policy.step(x, output, chosen));
                  return logProb[0].sum();
                });
        double[] actual = logProb[0].toDoubles();
        double[] gradient = result.gradient(output).toDoubles();
        int size = gradient.length / rows.length;
        for (int k = 0; k < rows.length; k++) {
          double e = expected[rows[k]];
          logProbError = worse(logProbError, Math.abs(actual[k] - e) / Math.max(1, Math.abs(e)));
          gradientError =
              worse(
                  gradientError,
                  distance(gradient, k * size, expectedGradient, rows[k] * size, size));
        }
      }
      int excluded = step.length - rows.length;
      String words = words();
      return List.of(
          new Row(words, "timesteps", gridError, grid.length, 0),
          new Row(words, "log_prob_mean", logProbError, rows.length, excluded),
          new Row(words, "grad_model_output", gradientError, rows.length, excluded));
    }

    private String words() {
      return String.format(
          Locale.ROOT,
          "%s%s %s steps %d offset %d eta %s%s",
          prefix.replace('.', ' '),
          config.betaSchedule().key(),
          config.prediction().key(),
          steps,
          config.stepsOffset(),
          eta,
          config.clipSample() ? " clipped" : "");
    }

    private int[] ints(String name) {
      return LongStream.of(file.longs(prefix + name)).mapToInt(Math::toIntExact).toArray();
    }

    private Tensor tensor(Device device, String name, int... rows) {
      Tensor all = device.tensor(file.doubles(prefix + name), file.shape(prefix + name).dims());
      Tensor[] chosen =
          Arrays.stream(rows).mapToObj(i -> all.slice(0, i, i + 1)).toArray(Tensor[]::new);
      return Ops.concat(0, chosen);
    }

    private int indexOf(TimestepGrid grid, int timestep) {
      for (int i = 0; i < grid.steps(); i++) {
        if (grid.timestep(i) == timestep) {
          return i;
        }
      }
      throw new ReverieException(
          "ddim check: timestep " + timestep + " of " + words() + " is not on the grid " + grid);
    }
  }

  /** The larger, NaN counting as infinite. */
  private static double worse(double a, double b) {
    return Double.isNaN(b) ? DIFFERENT : Math.max(a, b);
  }

  private static double distance(
      double[] actual, int from, double[] expected, int expectedFrom, int size) {
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
