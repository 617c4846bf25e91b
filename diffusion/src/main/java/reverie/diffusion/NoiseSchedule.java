// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.function.DoubleUnaryOperator;
import org.apache.commons.math3.distribution.NormalDistribution;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * The forward process: how much of the sample is left at each timestep of the forward process:
 * {@code x_t = √ᾱ_t·x_0 + √(1−ᾱ_t)·ε} with {@code ᾱ_t = Π(1−β_i)} (Ho et al. 2020, eq. 4). Or that
 * of a {@link #flow}, {@code x_σ = (1−σ)·x_0 + σ·ε}, whose timesteps {@code t = σ·T} need not be
 * whole and whose {@link #alphaBar} and {@link #noiseVariance} are the squares of both factors.
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
  private final DoubleUnaryOperator flow;

  private NoiseSchedule(double[] alphaBar, double[] noiseVariance, boolean single) {
    this(alphaBar, noiseVariance, single, null);
  }

  private NoiseSchedule(
      double[] alphaBar, double[] noiseVariance, boolean single, DoubleUnaryOperator flow) {
    this.alphaBar = alphaBar;
    this.noiseVariance = noiseVariance;
    this.single = single;
    this.flow = flow;
  }

  /**
   * A flow (rectified flow, Liu et al. 2023), trained at {@code σ = s·u/(1 + (s−1)·u)} of uniform
   * u.
   *
   * @param steps T
   * @param shift s, 1 for uniform σ
   */
  public static NoiseSchedule flow(int steps, double shift) {
    return flow(steps, u -> TimestepGrid.shifted(u, shift));
  }

  /**
   * A flow trained at logit-normal σ (Esser et al. 2024, §3.1): u is the logistic function of
   * N(mean, deviation²).
   */
  public static NoiseSchedule logitNormalFlow(
      int steps, double shift, double mean, double deviation) {
    NormalDistribution normal = new NormalDistribution(null, mean, deviation);
    return flow(
        steps,
        u ->
            TimestepGrid.shifted(
                1 / (1 + Math.exp(-normal.inverseCumulativeProbability(u))), shift));
  }

  private static NoiseSchedule flow(int steps, DoubleUnaryOperator sigma) {
    double[] signal = new double[steps];
    double[] noise = new double[steps];
    for (int t = 0; t < steps; t++) {
      double s = (double) t / steps;
      signal[t] = (1 - s) * (1 - s);
      noise[t] = s * s;
    }
    return new NoiseSchedule(signal, noise, false, sigma);
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
            "noise schedule: expected 0 < beta < 1, got " + betas[t] + " at timestep " + t,
            "beta_start, beta_end and trained_betas are variances of the noise of one step");
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

  /**
   * The same schedule, moved and stretched so that nothing of the sample is left at the last
   * timestep (Lin et al. 2024, algorithm 1): diffusers' {@code rescale_betas_zero_snr}.
   */
  public NoiseSchedule withZeroTerminalSnr() {
    double first = Math.sqrt(alphaBar[0]);
    double last = Math.sqrt(alphaBar[alphaBar.length - 1]);
    double[] kept = new double[alphaBar.length];
    double[] lost = new double[alphaBar.length];
    for (int t = 0; t < kept.length; t++) {
      double signal = (Math.sqrt(alphaBar[t]) - last) * (first / (first - last));
      kept[t] = signal * signal;
      lost[t] = (1 - signal) * (1 + signal);
    }
    return new NoiseSchedule(kept, lost, single);
  }

  /** Whether this is a flow. */
  public boolean isFlow() {
    return flow != null;
  }

  /** The factor of x_0 at a timestep, whole but of a flow: √ᾱ, or 1 − σ. */
  public double signal(double timestep) {
    return isFlow() ? 1 - sigma(timestep) : Math.sqrt(alphaBar(whole(timestep)));
  }

  /** The factor of the noise at a timestep, whole but of a flow: √(1−ᾱ), or σ. */
  public double noise(double timestep) {
    return isFlow() ? sigma(timestep) : Math.sqrt(noiseVariance(whole(timestep)));
  }

  private double sigma(double timestep) {
    if (!(timestep >= 0 && timestep <= steps())) {
      throw new ReverieException(
          "noise schedule: expected a timestep from 0 to " + steps() + ", got " + timestep);
    }
    return timestep / steps();
  }

  private int whole(double timestep) {
    int t = (int) timestep;
    if (t != timestep) {
      throw new ReverieException("noise schedule: expected a whole timestep, got " + timestep);
    }
    return t;
  }

  /**
   * The timestep below which the share u of training happens: {@code ⌊u·T⌋}, or {@code σ(u)·T} of a
   * flow.
   */
  public double timestepAt(double u) {
    return isFlow() ? flow.applyAsDouble(u) * steps() : Math.min((int) (u * steps()), steps() - 1);
  }

  /** The timestep of a sample of training, from its own random numbers. */
  double draw(Rng row) {
    return isFlow() ? timestepAt(row.uniform(0)) : row.below(0, steps());
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
  public Tensor addNoise(Tensor original, Tensor noise, double... timesteps) {
    double[] each = Rows.perSample("add noise", original, timesteps);
    return Rows.times(original, each, this::signal).add(Rows.times(noise, each, this::noise));
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
