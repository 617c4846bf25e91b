// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import reverie.autograd.Tape;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * Log-probabilities and gradients that the Python implementation of DDPO made: {@code x_t}, {@code
 * model_output}, {@code prev_sample}, {@code timestep}, {@code timesteps}, {@code log_prob_mean}
 * and {@code grad_model_output} (of the sum of the log-probabilities).
 *
 * <p>The source works in float32, always goes to {@code t' = clamp(t − T/N, 0)} and has NaN or Inf
 * where σ = 0. So the schedule is taken {@linkplain NoiseSchedule#inSinglePrecision() in single
 * precision} and ends at ᾱ_0, which is the same t'; rows with σ = 0 must be no decision here and
 * not finite there, and are counted as excluded.
 */
final class DdimVectorCase {
  private final VectorCase of;
  private final int steps;
  private final double eta;
  private final SchedulerConfig config;

  DdimVectorCase(VectorCase of) {
    this.of = of;
    this.steps = (int) of.number("steps");
    this.eta = of.number("eta");
    this.config =
        SchedulerConfig.parse(
            String.format(
                Locale.ROOT,
                """
                {"beta_schedule": %s, "beta_start": %s, "beta_end": %s, "prediction_type": %s, "clip_sample": %s,
                 "steps_offset": %s, "set_alpha_to_one": false}\
                """,
                of.value("beta_schedule"),
                of.value("beta_start"),
                of.value("beta_end"),
                of.value("prediction"),
                of.value("clip_sample"),
                of.value("steps_offset")),
            of.path() + " " + of.name());
  }

  List<ChainVectorCheck.Row> compare(Device device) {
    ReversePolicy policy =
        ReversePolicy.ddim(config, config.schedule().inSinglePrecision(), steps, eta);
    double[] grid = Arrays.stream(of.ints("timesteps")).asDoubleStream().toArray();
    double gridError =
        Arrays.equals(grid, policy.grid().timesteps()) ? 0 : ChainVectorCheck.DIFFERENT;

    int[] step = Arrays.stream(of.ints("timestep")).map(t -> indexOf(policy.grid(), t)).toArray();
    double[] expected = of.doubles("log_prob_mean");
    double[] expectedGradient = of.doubles("grad_model_output");
    int[] rows = IntStream.range(0, step.length).filter(i -> policy.isDecision(step[i])).toArray();
    double logProbError = 0;
    double gradientError = 0;
    for (int i = 0; i < step.length; i++) {
      if (policy.isDecision(step[i]) != Double.isFinite(expected[i])) {
        logProbError = ChainVectorCheck.DIFFERENT;
        gradientError = ChainVectorCheck.DIFFERENT;
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
        logProbError =
            ChainVectorCheck.worse(
                logProbError, ChainVectorCheck.gap(actual[k], expected[rows[k]]));
        gradientError =
            ChainVectorCheck.worse(
                gradientError,
                ChainVectorCheck.distance(
                    gradient, k * size, expectedGradient, rows[k] * size, size));
      }
    }
    int excluded = step.length - rows.length;
    String words = words();
    return List.of(
        new ChainVectorCheck.Row(words, "timesteps", gridError, grid.length, 0),
        new ChainVectorCheck.Row(words, "log_prob_mean", logProbError, rows.length, excluded),
        new ChainVectorCheck.Row(words, "grad_model_output", gradientError, rows.length, excluded));
  }

  private String words() {
    return String.format(
        Locale.ROOT,
        "%s %s %s steps %d offset %d eta %s%s",
        of.name(),
        config.betaSchedule().key(),
        config.prediction().key(),
        steps,
        config.stepsOffset(),
        eta,
        config.clipSample() ? " clipped" : "");
  }

  private Tensor tensor(Device device, String name, int... rows) {
    Tensor all = of.tensor(device, name);
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
        "chain check: timestep " + timestep + " of " + words() + " is not on the grid " + grid);
  }
}
