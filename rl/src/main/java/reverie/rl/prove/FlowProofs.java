// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;
import reverie.diffusion.FlowNoise;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.TimestepGrid;
import reverie.diffusion.analytic.GaussianChain;
import reverie.rl.advantage.RawAdvantages;
import reverie.rl.objective.Prdp;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** Chains of flows, and chains that decide in a window only. */
public final class FlowProofs {
  private static final double LEVEL = 0.7;

  private FlowProofs() {}

  /** All of them. */
  public static List<Proof> all() {
    return List.of(
        new Variance(FlowNoise.FLOW_SDE, 10, .456400, 5e-7),
        new Variance(FlowNoise.DANCE_SDE, 10, .425630, 5e-7),
        new Variance(FlowNoise.CPS, 10, .278028, 5e-7),
        new Variance(FlowNoise.FLOW_SDE, 640, .49, 3e-3),
        new Variance(FlowNoise.DANCE_SDE, 640, .49, 3e-3),
        optimum("flow_sde", FlowNoise.FLOW_SDE, _ -> true),
        optimum("dance_sde", FlowNoise.DANCE_SDE, _ -> true),
        optimum("flow_sde, a window of 4 steps", FlowNoise.FLOW_SDE, i -> i >= 3 && i < 7),
        new MeanRatio(false),
        new MeanRatio(true));
  }

  static ReversePolicy policy(FlowNoise noise, int steps) {
    SchedulerConfig even = SchedulerConfig.flow(1).withSpacing(TimestepGrid.Spacing.TRAILING, 0);
    return ReversePolicy.flow(even, steps, noise, LEVEL);
  }

  /**
   * Where the model is exact every chain is a linear recursion with a Gaussian end; the data are
   * N(0.3, 0.49).
   *
   * @param noise of the chain, in every step
   * @param steps of the chain
   * @param exact variance of its end, or what it comes to
   * @param tolerance of that
   */
  private record Variance(FlowNoise noise, int steps, double exact, double tolerance)
      implements Proof {
    @Override
    public String name() {
      return steps > 100
          ? "many steps end at the data's variance"
          : "10 steps end at this variance";
    }

    @Override
    public Result run() {
      ReversePolicy chain = FlowProofs.policy(noise, steps).deciding(_ -> true);
      double reached = GaussianChain.of(chain, 0.3, 0.7).variance();
      return Result.of(noise.name().toLowerCase(Locale.ROOT), reached, exact, tolerance);
    }
  }

  /** PRDP, which ends there exactly, along the chain of a flow. */
  private static Proof optimum(String name, FlowNoise noise, IntPredicate decides) {
    ReversePolicy all = policy(noise, GaussianPolicy.STEPS);
    ReversePolicy process = all.deciding(i -> i + 1 < all.steps() && decides.test(i));
    double code = ChainProofs.BETA * process.decisions().length;
    return new RegularisedOptimum(
        "ends at the KL-regularised optimum of " + name,
        new Prdp(code, 0.5, Prdp.Time.MEAN),
        new RawAdvantages(),
        GaussianPolicy.SAMPLE,
        ChainProofs.settings(it -> {
          it.samplesPerPrompt(16);
          it.passes(10);
          it.learningRate(4e-3);
        }),
        25,
        GaussianChain.of(process, 1, 0.5).optimum(1, ChainProofs.BETA),
        1e-3,
        () -> new GaussianPolicy(Device.reference(), process));
  }

  /**
   * The ratio of mean log-densities over D elements: its expectation under the old policy is {@code
   * exp(−KL/D + KL/D²)}, below 1, and that of its logarithm {@code −KL/D}; with what GRPO-Guard
   * adds to it, 0. By quadrature, D = 2.
   *
   * @param guarded whether with what the guard adds
   */
  private record MeanRatio(boolean guarded) implements Proof {
    private static final double[] SHIFT = {.3, -.5};

    @Override
    public String name() {
      return guarded
          ? "E ln of the guarded ratio is 0"
          : "E of the mean ratio is exp(-KL/D + KL/D²)";
    }

    @Override
    public Result run() {
      Quadrature square = Quadrature.of(40);
      int n = square.size();
      try (Scope _ = Scope.open("ratio")) {
        Device device = Device.reference();
        ReversePolicy process = FlowProofs.policy(FlowNoise.FLOW_SDE, 10);
        Tensor x = device.zeros(n, 1, 1, 2);
        Tensor old = x;
        Tensor now = device.tensor(SHIFT, 1, 1, 1, 2).expand(n, 1, 1, 2).contiguous();
        ReversePolicy.Step before = process.step(x, old, 4);
        ReversePolicy.Step after = process.step(x, now, 4);
        Tensor noise =
            Ops.concat(
                3,
                device.tensor(square.first(), n, 1, 1, 1),
                device.tensor(square.second(), n, 1, 1, 1));
        Tensor next = process.sample(before, noise);
        double[] ratio =
            process.logProb(next, after).sub(process.logProb(next, before)).toDoubles();
        double meanKl = process.divergence(after, before).toDoubles()[0];
        double[] gap = process.divergence(after, before).toDoubles();
        return guarded
            ? Result.of("grpo_guard", square.mean(i -> ratio[i] + gap[i]), 0, 1e-12)
            : Result.of(
                "ratio",
                square.mean(i -> Math.exp(ratio[i])),
                Math.exp(-meanKl + meanKl / SHIFT.length),
                1e-12);
      }
    }
  }
}
