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
 * {@code (x − √ᾱ·mean)·√(1−ᾱ) / (ᾱ·deviation² + 1 − ᾱ)}. The context is not looked at.
 *
 * <p>With {@link #biased} it is a policy that can be trained: one number per step, added to the
 * mean of the step's action. The optimum of a linear reward is then known ({@link
 * GaussianChain#optimum}).
 */
public final class GaussianDenoiser implements Denoiser {
  private final NoiseLevels levels;
  private final double mean;
  private final double deviation;
  private final ReversePolicy policy;
  private final Tensor biases;

  private GaussianDenoiser(
      NoiseLevels levels, double mean, double deviation, ReversePolicy policy, Tensor biases) {
    this.levels = levels;
    this.mean = mean;
    this.deviation = deviation;
    this.policy = policy;
    this.biases = biases;
  }

  /** The exact model of N(mean, deviation²) under a schedule; it predicts ε. */
  public static GaussianDenoiser of(NoiseSchedule schedule, double mean, double deviation) {
    return new GaussianDenoiser(NoiseLevels.of(schedule), mean, deviation, null, null);
  }

  /**
   * The same model with {@code biases[i]} added to the mean of step i of {@code steered}; gradients
   * flow into the biases.
   *
   * @param steered a chain that predicts ε and does not clip
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
    return new GaussianDenoiser(levels, mean, deviation, steered, other);
  }

  @Override
  public Tensor predict(Tensor x, Tensor timesteps, Tensor context) {
    double[] t = timesteps.toDoubles();
    Tensor output = x.sub(column(x, t, this::center)).mul(column(x, t, this::slope));
    if (biases == null) {
      return output;
    }
    int[] steps = Arrays.stream(t).mapToInt(v -> step((int) v)).toArray();
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

  /** √ᾱ_t·mean: the mean of x_t. */
  double center(double t) {
    return Math.sqrt(NoiseLevels.signal(levels.level(t))) * mean;
  }

  /** The factor of {@code x_t − center} in ε̂. */
  double slope(double t) {
    double level = levels.level(t);
    double noise = NoiseLevels.noise(level);
    return Math.sqrt(noise) / (NoiseLevels.signal(level) * deviation * deviation + noise);
  }

  private double inverseFactor(int step) {
    double factor = policy.outputFactor(step);
    return factor == 0 ? 0 : 1 / factor;
  }

  private int step(int t) {
    for (int i = 0; i < policy.steps(); i++) {
      if (policy.grid().timestep(i) == t) {
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
