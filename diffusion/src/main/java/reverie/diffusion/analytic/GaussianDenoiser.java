// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.analytic;

import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;
import reverie.diffusion.Denoiser;
import reverie.diffusion.NoiseSchedule;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.likelihood.NoiseLevels;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * The best possible ε̂ for data whose elements are independently {@code N(mean, deviation²)}:
 * {@code (x − √ᾱ·mean)·√(1−ᾱ) / (ᾱ·deviation² + 1 − ᾱ)}; of a flow the best v̂, {@code (x −
 * (1−σ)·mean)·(σ − (1−σ)·deviation²)/((1−σ)²·deviation² + σ²) − mean}. The context is not looked
 * at.
 *
 * <p>With {@link #biased} it is a policy that can be trained: one number per step, added to the
 * mean of the step's action. The optimum of a linear reward is then known ({@link
 * GaussianChain#optimum}).
 */
public final class GaussianDenoiser implements Denoiser {
  private final NoiseSchedule schedule;
  private final NoiseLevels levels;
  private final double mean;
  private final double deviation;
  private final ReversePolicy policy;
  private final Tensor biases;

  private GaussianDenoiser(
      NoiseSchedule schedule, double mean, double deviation, ReversePolicy policy, Tensor biases) {
    this.schedule = schedule;
    this.levels = schedule.isFlow() ? null : NoiseLevels.of(schedule);
    this.mean = mean;
    this.deviation = deviation;
    this.policy = policy;
    this.biases = biases;
  }

  /** The exact model of N(mean, deviation²) under a schedule; it predicts ε, of a flow v. */
  public static GaussianDenoiser of(NoiseSchedule schedule, double mean, double deviation) {
    return new GaussianDenoiser(schedule, mean, deviation, null, null);
  }

  /**
   * The same model with {@code biases[i]} added to the mean of step i of {@code steered}; gradients
   * flow into the biases.
   *
   * @param steered a chain of this schedule that does not clip
   * @param other {@code [steps]}
   */
  public GaussianDenoiser biased(ReversePolicy steered, Tensor other) {
    if (steered.clips()) {
      throw new ReverieException(
          "gaussian denoiser: the mean is not linear in the output where x0 is clipped",
          "use a scheduler withoutClipping()");
    }
    if (other.size() != steered.steps()) {
      throw new ReverieException(
          "gaussian denoiser: expected " + steered.steps() + " biases, got " + other.type());
    }
    return new GaussianDenoiser(schedule, mean, deviation, steered, other);
  }

  @Override
  public Tensor predict(Tensor x, Tensor timesteps, Tensor context) {
    double[] t = timesteps.toDoubles();
    Tensor output = x.sub(column(x, t, this::center)).mul(column(x, t, this::slope));
    if (schedule.isFlow()) {
      output = output.add(offset());
    }
    if (biases == null) {
      return output;
    }
    int[] steps = Arrays.stream(t).mapToInt(this::step).toArray();
    Tensor bias =
        Ops.embedding(biases.reshape(policy.steps(), 1), x.device().indices(steps, steps.length));
    return output.add(
        bias.reshape(columnDims(x, t.length))
            .mul(
                column(
                    x,
                    Arrays.stream(steps).asDoubleStream().toArray(),
                    v -> inverseFactor((int) v))));
  }

  /** The mean of x_t: √ᾱ_t·mean, or (1−σ)·mean. */
  double center(double t) {
    return schedule.isFlow()
        ? (1 - t / schedule.steps()) * mean
        : Math.sqrt(NoiseLevels.signal(levels.level(t))) * mean;
  }

  /** The output where x_t is its mean. */
  double offset() {
    return schedule.isFlow() ? -mean : 0;
  }

  /** The factor of {@code x_t − center} in the output. */
  double slope(double t) {
    if (schedule.isFlow()) {
      double sigma = t / schedule.steps();
      double kept = 1 - sigma;
      double variance = deviation * deviation;
      return (sigma - kept * variance) / (kept * kept * variance + sigma * sigma);
    }
    double level = levels.level(t);
    double noise = NoiseLevels.noise(level);
    return Math.sqrt(noise) / (NoiseLevels.signal(level) * deviation * deviation + noise);
  }

  private double inverseFactor(int step) {
    double factor = policy.outputFactor(step);
    return factor == 0 ? 0 : 1 / factor;
  }

  private int step(double t) {
    for (int i = 0; i < policy.steps(); i++) {
      if (Math.abs(policy.timestep(i) - t) < 1e-3) {
        return i;
      }
    }
    throw new ReverieException(
        "gaussian denoiser: timestep " + t + " is not on the grid " + policy.grid());
  }

  private static Tensor column(Tensor x, double[] at, DoubleUnaryOperator value) {
    return x.device().tensor(Arrays.stream(at).map(value).toArray(), columnDims(x, at.length));
  }

  private static int[] columnDims(Tensor x, int n) {
    int[] dims = new int[x.shape().rank()];
    Arrays.fill(dims, 1);
    dims[0] = n;
    return dims;
  }
}
