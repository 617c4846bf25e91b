// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * How much of the sample is left at each timestep of the forward process: {@code x_t = √ᾱ_t·x_0 +
 * √(1−ᾱ_t)·ε} with {@code ᾱ_t = Π(1−β_i)} (Ho et al. 2020, eq. 4).
 *
 * <p>Kept in double precision. {@code 1−ᾱ} is accumulated on its own, because near t = 0 the
 * subtraction would lose most digits. The Python schedulers compute in float32; where their very
 * digits are wanted, {@link #inSinglePrecision()} does so too.
 *
 * <p>Near the last timestep {@code √ᾱ} is small (0.006 for the linear schedule), and a step through
 * {@code x̂_0 = (x − √(1−ᾱ)·ε̂)/√ᾱ} amplifies an error of ε̂ by its reciprocal. {@link
 * ReversePolicy} folds the division away where nothing is clipped.
 */
public final class NoiseSchedule {
  private final double[] alphaBar;
  private final double[] noiseVariance;
  private final boolean single;

  private NoiseSchedule(double[] alphaBar, double[] noiseVariance, boolean single) {
    this.alphaBar = alphaBar;
    this.noiseVariance = noiseVariance;
    this.single = single;
  }

  /** β from {@code start} to {@code end} in equal steps: diffusers' {@code linear}. */
  public static NoiseSchedule linear(int steps, double start, double end) {
    return ofBetas(ramp(steps, start, end));
  }

  /** √β in equal steps: {@code scaled_linear}, the schedule of Stable Diffusion. */
  public static NoiseSchedule scaledLinear(int steps, double start, double end) {
    double[] betas = ramp(steps, Math.sqrt(start), Math.sqrt(end));
    for (int t = 0; t < steps; t++) {
      betas[t] *= betas[t];
    }
    return ofBetas(betas);
  }

  /**
   * ᾱ along a squared cosine, β at most 0.999: {@code squaredcos_cap_v2} (Nichol and Dhariwal 2021,
   * eq. 17).
   */
  public static NoiseSchedule squaredCosine(int steps) {
    double[] betas = new double[steps];
    for (int t = 0; t < steps; t++) {
      betas[t] =
          Math.min(1 - squaredCosine((t + 1.0) / steps) / squaredCosine((double) t / steps), 0.999);
    }
    return ofBetas(betas);
  }

  /** β along a logistic curve over [−6, 6]: {@code sigmoid} (GeoDiff). */
  public static NoiseSchedule sigmoid(int steps, double start, double end) {
    double[] betas = ramp(steps, -6, 6);
    for (int t = 0; t < steps; t++) {
      betas[t] = start + (end - start) / (1 + Math.exp(-betas[t]));
    }
    return ofBetas(betas);
  }

  /**
   * The schedule of these β.
   *
   * @throws ReverieException if one is not between 0 and 1, with its timestep
   */
  public static NoiseSchedule ofBetas(double... betas) {
    if (betas.length == 0) {
      throw new ReverieException("noise schedule: expected at least one timestep, got none");
    }
    double[] alphaBar = new double[betas.length];
    double[] noiseVariance = new double[betas.length];
    double kept = 1;
    double lost = 0;
    for (int t = 0; t < betas.length; t++) {
      if (!(betas[t] > 0 && betas[t] < 1)) {
        throw new ReverieException(
            "noise schedule: expected 0 < beta < 1, got " + betas[t] + " at timestep " + t);
      }
      lost += kept * betas[t];
      kept *= 1 - betas[t];
      alphaBar[t] = kept;
      noiseVariance[t] = lost;
    }
    return new NoiseSchedule(alphaBar, noiseVariance, false);
  }

  /**
   * The same schedule in the arithmetic of the Python schedulers: ᾱ rounded to float32, and every
   * number that a {@link ReversePolicy} makes of it too. Their σ and step directions differ from
   * the exact ones by up to 1e-3 at the last step of a chain; this is for comparing with them, not
   * for better samples.
   */
  public NoiseSchedule inSinglePrecision() {
    double[] rounded = new double[alphaBar.length];
    double[] rest = new double[alphaBar.length];
    double kept = 1;
    for (int t = 0; t < rounded.length; t++) {
      float beta = (float) (1 - alphaBar[t] / (t == 0 ? 1 : alphaBar[t - 1]));
      kept *= 1f - beta;
      rounded[t] = (float) kept;
      rest[t] = 1f - (float) kept;
    }
    return new NoiseSchedule(rounded, rest, true);
  }

  /** Number of timesteps, T. */
  public int steps() {
    return alphaBar.length;
  }

  /** ᾱ_t. */
  public double alphaBar(int t) {
    return alphaBar[checked(t)];
  }

  /** 1 − ᾱ_t, to full precision. */
  public double noiseVariance(int t) {
    return noiseVariance[checked(t)];
  }

  /** The signal-to-noise ratio ᾱ_t/(1 − ᾱ_t). */
  public double signalToNoise(int t) {
    return alphaBar(t) / noiseVariance(t);
  }

  /**
   * The forward process: {@code √ᾱ_t·x_0 + √(1−ᾱ_t)·ε}.
   *
   * @param original clean samples {@code [n, …]}
   * @param noise like original
   * @param timesteps one for each sample, or one for all
   */
  public Tensor addNoise(Tensor original, Tensor noise, int... timesteps) {
    int[] each = Rows.perSample("add noise", original, timesteps);
    return Rows.times(original, each, t -> Math.sqrt(alphaBar(t)))
        .add(Rows.times(noise, each, t -> Math.sqrt(noiseVariance(t))));
  }

  double round(double value) {
    return single ? (float) value : value;
  }

  private int checked(int t) {
    if (t < 0 || t >= alphaBar.length) {
      throw new ReverieException(
          "noise schedule: expected a timestep from 0 to " + (alphaBar.length - 1) + ", got " + t);
    }
    return t;
  }

  private static double squaredCosine(double u) {
    double c = Math.cos((u + 0.008) / 1.008 * Math.PI / 2);
    return c * c;
  }

  private static double[] ramp(int steps, double start, double end) {
    double[] out = new double[steps];
    for (int t = 0; t < steps; t++) {
      out[t] = steps == 1 ? start : start + (end - start) * t / (steps - 1);
    }
    return out;
  }
}
