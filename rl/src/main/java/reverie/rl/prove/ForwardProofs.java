// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import reverie.autograd.Tape;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.NoiseSchedule;
import reverie.diffusion.Prediction;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.analytic.GaussianDenoiser;
import reverie.rl.objective.AdvantageWeightedMatching;
import reverie.rl.objective.AdvantageWeightedMatching.Weight;
import reverie.rl.objective.CenteredRewardDistillation;
import reverie.rl.objective.Denoised;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.DenoisingObjective.Lag;
import reverie.rl.objective.DiffusionNft;
import reverie.rl.objective.DirectGroupPreference;
import reverie.tensor.Device;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Objectives of the forward process on data x_0 ~ N(m, s²) with advantages {@code κ(x_0 − m)}. The
 * model's output is that of the exact model of data moved by θ, {@code v_θ = v_o − θ·f}, f being
 * the sensitivity of the output to the mean. Expectations are by quadrature, so that everything
 * holds to rounding: what is tested is the loss, not a training run.
 */
public final class ForwardProofs {
  private static final double MEAN = .3;
  private static final double DEVIATION = .7;
  private static final double LIMIT = 5;

  private ForwardProofs() {}

  /** All of them. */
  public static List<Proof> all() {
    DenoisingObjective nft = new DiffusionNft(.5, false, LIMIT, 0, Lag.NONE, 1);
    // r = ½ + 0.11 (x_0 − m)
    double steep = 2 * LIMIT * .11;
    double tilt = 2 * .11 / .5 * DEVIATION * DEVIATION;
    double gentle = 1e-5;
    return List.of(
        new Optimum("ends at the tilted data, a flow", nft, Prediction.FLOW, steep, tilt, 1e-12),
        new Optimum("ends at the tilted data, ε", nft, Prediction.EPSILON, steep, tilt, 1e-12),
        new Optimum("ends at the tilted data, v", nft, Prediction.V_PREDICTION, steep, tilt, 1e-12),
        new Optimum(
            "ends at κ s²/β_e, to first order",
            new AdvantageWeightedMatching(
                Weight.UNIFORM, 1, 1e6, LIMIT, 0, .5 * LIMIT, Lag.NONE, 1),
            Prediction.FLOW,
            gentle,
            gentle * DEVIATION * DEVIATION / (.5 * LIMIT),
            1e-12),
        new FirstGradient(nft, 1),
        new FirstGradient(
            new AdvantageWeightedMatching(Weight.UNIFORM, 1, 1, LIMIT, 0, 1, Lag.NONE, 1), 1),
        new FirstGradient(new CenteredRewardDistillation(2, false, LIMIT, 0, Lag.NONE, 1), 1),
        new FirstGradient(new DirectGroupPreference(100, LIMIT, 1), .5));
  }

  /** The gradient by θ of the expected loss, κ and everything else given. */
  private static double gradient(
      DenoisingObjective objective, Prediction prediction, double kappa, double theta) {
    boolean flow = prediction == Prediction.FLOW;
    NoiseSchedule schedule =
        flow ? NoiseSchedule.flow(1000, 1) : SchedulerConfig.stableDiffusion().schedule();
    double t = 600;
    double a = schedule.signal(t);
    double b = schedule.noise(t);
    double variance = a * a * DEVIATION * DEVIATION + b * b;
    double sensitivity =
        switch (prediction) {
          case FLOW -> b / variance;
          case EPSILON -> a * b / variance;
          case V_PREDICTION -> b / variance;
          case SAMPLE -> throw new IllegalArgumentException();
        };
    Quadrature square = Quadrature.of(8);
    int n = square.size();
    double[] clean = new double[n];
    double[] weight = new double[n];
    for (int i = 0; i < n; i++) {
      clean[i] = MEAN + DEVIATION * square.first()[i];
      weight[i] = kappa * (clean[i] - MEAN);
    }
    try (Scope _ = Scope.open("expectation")) {
      Device device = Device.reference();
      var draw =
          new DenoisingLoss.NoiseDraw(times(t, n), device.tensor(square.second(), n, 1, 1, 1));
      DenoisingLoss.NoisedBatch question =
          new DenoisingLoss(schedule, prediction, Double.POSITIVE_INFINITY)
              .noised(device.tensor(clean, n, 1, 1, 1), draw);
      Tensor said =
          GaussianDenoiser.of(schedule, MEAN, DEVIATION)
              .predict(question.x(), question.timesteps(), null);
      Tensor old =
          prediction == Prediction.V_PREDICTION ? said.sub(question.x().mul(b)).div(a) : said;
      Tensor a1 = device.tensor(weight, n);
      Tensor noise = device.full(b, n);
      Tensor weights = device.tensor(square.weights(), n);
      Tensor root = device.scalar(theta);
      return Tape.run(
              List.of(root),
              () -> {
                Tensor output = old.sub(root.mul(sensitivity));
                Denoised alone =
                    new Denoised(output, question.target(), old, old, old, noise, noise, a1, null);
                Tensor group =
                    objective.couples()
                        ? device.full(
                            objective.coupling(alone).detach().mul(weights).sum().item(), n)
                        : null;
                Denoised whole =
                    new Denoised(output, question.target(), old, old, old, noise, noise, a1, group);
                return objective.loss(whole).mul(weights).sum();
              })
          .gradient(root)
          .item();
    }
  }

  private static double[] times(double t, int n) {
    double[] times = new double[n];
    Arrays.fill(times, t);
    return times;
  }

  /**
   * Where the gradient vanishes, from the gradients at two places: losses are quadratic in θ, AWM's
   * to first order.
   */
  private record Optimum(
      String name,
      DenoisingObjective objective,
      Prediction prediction,
      double kappa,
      double exact,
      double tolerance)
      implements Proof {
    @Override
    public Result run() {
      double at0 = gradient(objective, prediction, kappa, 0);
      double atExact = gradient(objective, prediction, kappa, exact);
      double reached = -at0 * exact / (atExact - at0);
      return Result.of(objective.name(), reached, exact, tolerance);
    }
  }

  /**
   * At the model that drew, all of them push along the advantage times the gradient of the
   * denoising error, {@code −2κ s² f²}, or by half of it.
   */
  private record FirstGradient(DenoisingObjective objective, double share) implements Proof {
    @Override
    public String name() {
      return String.format(
          Locale.ROOT,
          "the first gradient is %sthat of the weighted error",
          share == 1 ? "" : "half ");
    }

    @Override
    public Result run() {
      double kappa = 1.1;
      double sigma = .6;
      double variance = .4 * .4 * DEVIATION * DEVIATION + sigma * sigma;
      double f = sigma / variance;
      double exact = -2 * kappa * DEVIATION * DEVIATION * f * f * share;
      double reached = gradient(objective, Prediction.FLOW, kappa, 0);
      return Result.of(objective.name(), reached, exact, 1e-12);
    }
  }
}
