// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import reverie.autograd.Tape;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * A whole chain of a flow: {@code timesteps} {@code [T]}, the states {@code x} {@code [T + 1, n,
 * …]}, {@code model_output} and {@code noise} of each step, {@code log_prob_mean} {@code [T, n]}
 * and {@code grad_model_output} (of the sum of the log-probabilities). Of a step that is no
 * decision the last two are not finite.
 *
 * <p>The chain is drawn again from its first state, with the outputs and the noise of the file;
 * log-probabilities are those of the file's own states.
 */
final class FlowVectorCase {
  /** The setting that a flow's case has: a {@link FlowNoise}. */
  static final String NOISE = "noise";

  private final VectorCase of;
  private final String words;
  private final ReversePolicy policy;

  FlowVectorCase(VectorCase of) {
    this.of = of;
    String noise = of.value(NOISE).asString();
    int steps = (int) of.number("steps");
    double level = of.number("level");
    SchedulerConfig config =
        SchedulerConfig.parse(of.value("scheduler").toString(), of.path() + " " + of.name());
    if (of.settings().has("tokens")) {
      config = config.forTokens((int) of.number("tokens"));
    }
    policy = ReversePolicy.flow(config, steps, noise(noise), level);
    words =
        String.format(
            Locale.ROOT,
            "%s flow shift %.4g %s %s steps %d",
            of.name(),
            config.flow().orElseThrow().shift(),
            noise,
            level,
            steps);
  }

  private FlowNoise noise(String name) {
    for (FlowNoise noise : FlowNoise.values()) {
      if (noise.name().toLowerCase(Locale.ROOT).equals(name)) {
        return noise;
      }
    }
    throw new ReverieException(
        "chain check: the noise \"" + ReverieException.shown(name) + "\" in " + of.path(),
        "one of ode, flow_sde, dance_sde, cps");
  }

  List<ChainVectorCheck.Row> compare(Device device) {
    int steps = policy.steps();
    double[] grid = of.doubles("timesteps");
    double gridError = grid.length == steps ? 0 : ChainVectorCheck.DIFFERENT;
    for (int i = 0; gridError == 0 && i < steps; i++) {
      gridError = ChainVectorCheck.gap(policy.timestep(i), grid[i]);
    }
    Tensor states = of.tensor(device, "x");
    Tensor outputs = of.tensor(device, "model_output");
    Tensor noise = of.tensor(device, "noise");
    double[] expected = of.doubles("x");
    double[] logProbs = of.doubles("log_prob_mean");
    double[] gradients = of.doubles("grad_model_output");
    int n = states.dim(1);
    int size = expected.length / (steps + 1);
    double chainError = 0;
    double logProbError = 0;
    double gradientError = 0;
    int decisions = 0;
    Tensor x = at(states, 0);
    for (int i = 0; i < steps; i++) {
      x = policy.sample(policy.step(x, at(outputs, i), i), at(noise, i));
      chainError =
          ChainVectorCheck.worse(
              chainError,
              ChainVectorCheck.distance(x.toDoubles(), 0, expected, (i + 1) * size, size));
      if (policy.isDecision(i) != Double.isFinite(logProbs[i * n])) {
        logProbError = ChainVectorCheck.DIFFERENT;
      } else if (policy.isDecision(i)) {
        decisions++;
        Scored scored = scored(at(states, i), at(outputs, i), at(states, i + 1), i);
        for (int k = 0; k < n; k++) {
          logProbError =
              ChainVectorCheck.worse(
                  logProbError, ChainVectorCheck.gap(scored.logProb[k], logProbs[i * n + k]));
        }
        gradientError =
            ChainVectorCheck.worse(
                gradientError,
                ChainVectorCheck.distance(scored.gradient, 0, gradients, i * size, size));
      }
    }
    int excluded = n * (steps - decisions);
    return List.of(
        new ChainVectorCheck.Row(words, "timesteps", gridError, steps, 0),
        new ChainVectorCheck.Row(words, "x", chainError, n * steps, 0),
        new ChainVectorCheck.Row(words, "log_prob_mean", logProbError, n * decisions, excluded),
        new ChainVectorCheck.Row(
            words, "grad_model_output", gradientError, n * decisions, excluded));
  }

  private record Scored(double[] logProb, double[] gradient) {}

  private Scored scored(Tensor x, Tensor output, Tensor next, int step) {
    Tensor[] logProb = new Tensor[1];
    Tape.Result result =
        Tape.run(
            List.of(output),
            () -> {
              logProb[0] = policy.logProb(next, policy.step(x, output, step));
              return logProb[0].sum();
            });
    return new Scored(logProb[0].toDoubles(), result.gradient(output).toDoubles());
  }

  /** The part of a step. */
  private static Tensor at(Tensor all, int step) {
    int[] dims = all.shape().dims();
    int[] own = Arrays.copyOfRange(dims, 1, dims.length);
    return all.slice(0, step, step + 1).contiguous().reshape(own);
  }
}
