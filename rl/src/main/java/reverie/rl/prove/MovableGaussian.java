// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;
import java.util.function.IntToDoubleFunction;
import reverie.autograd.nn.AxisOrder;
import reverie.autograd.nn.Initialiser;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.FlowNoise;
import reverie.diffusion.NoiseSchedule;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.TimestepGrid;
import reverie.diffusion.analytic.GaussianDenoiser;
import reverie.rl.ContextEncoder;
import reverie.rl.Policy;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * The exact denoiser of N(1, 0.5²) with one number θ that can be trained: {@code ε̂ - θ f(t)}, for
 * objectives that look at any timestep. The reference is θ = 0.
 */
final class MovableGaussian implements AutoCloseable {
  private static final double MEAN = 1;
  private static final double DEVIATION = 0.5;

  private final Parameters parameters;
  private final Parameter theta;
  private final Policy policy;

  /** With f the sensitivity k(t), θ is by how much the mean of the data is moved. */
  static MovableGaussian mean(Device device) {
    NoiseSchedule schedule = SchedulerConfig.stableDiffusion().schedule();
    return new MovableGaussian(device, t -> sensitivity(schedule, t));
  }

  /** With f = 1 / k(t), what θ changes of an image's denoising loss is the same at all t. */
  static MovableGaussian evenly(Device device) {
    NoiseSchedule schedule = SchedulerConfig.stableDiffusion().schedule();
    return new MovableGaussian(device, t -> 1 / sensitivity(schedule, t));
  }

  /** The mean of the data of a flow, moved by θ. */
  static MovableGaussian flow(Device device) {
    SchedulerConfig config = SchedulerConfig.flow(1).withSpacing(TimestepGrid.Spacing.TRAILING, 0);
    ReversePolicy process = ReversePolicy.flow(config, GaussianPolicy.STEPS, FlowNoise.ODE, 0);
    return new MovableGaussian(
        device,
        process,
        Prediction.FLOW,
        t -> {
          double sigma = t / config.trainSteps();
          double kept = (1 - sigma) * DEVIATION;
          return sigma / (kept * kept + sigma * sigma);
        });
  }

  private MovableGaussian(Device device, IntToDoubleFunction factor) {
    this(
        device,
        ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), GaussianPolicy.STEPS, 1),
        Prediction.EPSILON,
        t -> factor.applyAsDouble((int) t));
  }

  private MovableGaussian(
      Device device, ReversePolicy process, Prediction prediction, DoubleUnaryOperator factor) {
    parameters = Parameters.random(device, Rng.of(0));
    theta = parameters.create("theta", AxisOrder.SAME, Initialiser.zeros(), 1);
    GaussianDenoiser base = GaussianDenoiser.of(process.schedule(), MEAN, DEVIATION);
    policy =
        new Policy(
            process,
            prediction,
            (x, timesteps, context) -> {
              double[] factors = Arrays.stream(timesteps.toDoubles()).map(factor).toArray();
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

  /** k(t): by how much ε̂ of a noised image falls where the image rises by 1. */
  private static double sensitivity(NoiseSchedule schedule, int t) {
    double kept = schedule.alphaBar(t);
    double noise = schedule.noiseVariance(t);
    return Math.sqrt(kept * noise) / (kept * DEVIATION * DEVIATION + noise);
  }

  Policy policy() {
    return policy;
  }

  Parameter theta() {
    return theta;
  }

  @Override
  public void close() {
    parameters.close();
  }
}
