// SPDX-License-Identifier: Apache-2.0
package reverie.rl.choice;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.IntStream;
import reverie.autograd.nn.AxisOrder;
import reverie.autograd.nn.Initialiser;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.FlowNoise;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.TimestepGrid;
import reverie.diffusion.analytic.GaussianChain;
import reverie.diffusion.analytic.GaussianDenoiser;
import reverie.rl.ContextEncoder;
import reverie.rl.Policy;
import reverie.rl.objective.DiffusionDpo;
import reverie.rl.objective.OdeDpo;
import reverie.rl.objective.Ppod;
import reverie.rl.prompt.Prompt;
import reverie.rl.prove.GaussianPolicy;
import reverie.rl.prove.Quadrature;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * The exact flow of N(1, ¼) with one number θ that is trained, by which the mean of the data is
 * moved: {@code v̂ − θ·f(σ)}. The reward is x_0. With one number every objective's end is the root
 * of an expectation over two Gaussian numbers.
 */
public final class GaussianProblem implements ChoiceProblem {
  /** Weight of the KL. */
  public static final double BETA = 0.5;

  private static final double MEAN = 1;
  private static final double DEVIATION = 0.5;
  private static final Quadrature SQUARE = Quadrature.of(40);
  private static final ReversePolicy PROCESS =
      ReversePolicy.flow(
          SchedulerConfig.flow(1).withSpacing(TimestepGrid.Spacing.TRAILING, 0),
          GaussianPolicy.STEPS,
          FlowNoise.FLOW_SDE,
          0.7);

  private final Parameters parameters;
  private final Parameter theta;
  private final Policy policy;

  /** At θ = 0. */
  public GaussianProblem(Device device) {
    this(device, 0);
  }

  GaussianProblem(Device device, double start) {
    parameters = Parameters.random(device, Rng.of(0));
    theta = parameters.create("theta", AxisOrder.SAME, Initialiser.zeros(), 1);
    try (Scope _ = Scope.open("theta")) {
      theta.value().assign(device.tensor(new double[] {start}, 1));
    }
    GaussianDenoiser base = GaussianDenoiser.of(PROCESS.schedule(), MEAN, DEVIATION);
    policy =
        new Policy(
            PROCESS,
            Prediction.FLOW,
            (x, timesteps, context) -> {
              double[] factors =
                  Arrays.stream(timesteps.toDoubles())
                      .map(t -> sensitivity(PROCESS.schedule().noise(t)))
                      .toArray();
              Tensor moved = device.tensor(factors, factors.length, 1, 1, 1).mul(theta.value());
              return base.predict(x, timesteps, context).sub(moved);
            },
            base,
            parameters,
            ContextEncoder.NONE,
            1,
            1,
            1);
  }

  /** f: by how much v̂ falls where the mean of the data rises by 1. */
  private static double sensitivity(double sigma) {
    double kept = (1 - sigma) * DEVIATION;
    return sigma / (kept * kept + sigma * sigma);
  }

  @Override
  public Policy policy() {
    return policy;
  }

  @Override
  public Reward reward() {
    return GaussianPolicy.SAMPLE;
  }

  @Override
  public List<Prompt> prompts(int pairs) {
    return Collections.nCopies(pairs, new Prompt("x"));
  }

  @Override
  public Map<String, Double> measure(double divergence) {
    return Map.of("θ", theta.value().item());
  }

  /**
   * Where an objective ends: log-odds X of a choice are regressed on β·θ·Y, both differences
   * between the two samples, so that {@code E[(sigmoid(X) − sigmoid(β·θ·Y))·Y] = 0}, over all steps
   * or timesteps.
   */
  public static double exact(Contender contender) {
    GaussianChain chain = GaussianChain.of(PROCESS, MEAN, DEVIATION);
    double start = contender.sharedStart() ? 0 : chain.startGain() * chain.startGain();
    double odds = Math.sqrt(2 * (chain.varianceOfSteps() + start));
    return switch (contender.objective()) {
      case OdeDpo _ -> DEVIATION * DEVIATION / BETA;
      case DiffusionDpo _ -> {
        int points = 200;
        double[] slopes =
            IntStream.range(0, points)
                .mapToDouble(i -> 2 * Math.pow(sensitivity((i + 0.5) / points), 2))
                .toArray();
        yield root(
            theta -> Arrays.stream(slopes).map(s -> surplus(odds, s * odds, 1, theta)).sum());
      }
      case Ppod ppod -> {
        int[] decisions = PROCESS.decisions();
        double[] effects = new double[decisions.length];
        double[] shared = new double[decisions.length];
        for (int k = 0; k < decisions.length; k++) {
          int i = decisions[k];
          double mean =
              -PROCESS.outputFactor(i) * sensitivity(PROCESS.schedule().noise(PROCESS.timestep(i)));
          effects[k] = Math.sqrt(2) * mean / PROCESS.sigma(i);
          shared[k] = Math.sqrt(2) * chain.gains()[i] * PROCESS.sigma(i) / odds;
        }
        if (ppod.span() == Ppod.Span.STEP) {
          yield root(theta ->
              IntStream.range(0, effects.length)
                  .mapToDouble(k -> surplus(odds, effects[k], shared[k], theta))
                  .sum());
        }
        double effect = Math.sqrt(Arrays.stream(effects).map(e -> e * e).sum());
        double common =
            IntStream.range(0, effects.length)
                .mapToDouble(k -> effects[k] * shared[k] / effect)
                .sum();
        yield root(theta -> surplus(odds, effect, common, theta));
      }
      default -> throw new IllegalArgumentException(contender.name());
    };
  }

  /**
   * {@code E[(sigmoid(X) − sigmoid(β·θ·Y))·Y]} of Gaussian X and Y with these deviations and this
   * correlation.
   */
  private static double surplus(double x, double y, double correlation, double theta) {
    double rest = Math.sqrt(Math.max(0, 1 - correlation * correlation));
    return SQUARE.mean(i -> {
      double own = SQUARE.first()[i];
      double odds = x * (correlation * own + rest * SQUARE.second()[i]);
      return (sigmoid(odds) - sigmoid(BETA * theta * y * own)) * y * own;
    });
  }

  private static double sigmoid(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  private static double root(DoubleUnaryOperator falling) {
    double low = 0;
    double high = 8;
    for (int i = 0; i < 50; i++) {
      double middle = (low + high) / 2;
      boolean above = falling.applyAsDouble(middle) < 0;
      low = above ? low : middle;
      high = above ? middle : high;
    }
    return (low + high) / 2;
  }

  @Override
  public void close() {
    parameters.close();
  }
}
