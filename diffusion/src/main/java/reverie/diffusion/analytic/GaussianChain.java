// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.analytic;

import reverie.diffusion.ReversePolicy;

/**
 * The reverse chain of {@link GaussianDenoiser} in closed form: per element {@code x' = a_i·x + b_i
 * + m_i + σ_i·z} with the biases m, hence {@code x_0} is Gaussian, and everything a training
 * algorithm should find is a sum.
 */
public final class GaussianChain {
  private final double[] a;
  private final double[] b;
  private final double[] sigma;
  private final double[] gain;
  private final double startGain;

  private GaussianChain(double[] a, double[] b, double[] sigma, double[] gain, double startGain) {
    this.a = a;
    this.b = b;
    this.sigma = sigma;
    this.gain = gain;
    this.startGain = startGain;
  }

  /**
   * The chain of a policy that predicts ε, or of a flow's, and does not clip, for data N(mean,
   * deviation²).
   */
  public static GaussianChain of(ReversePolicy policy, double mean, double deviation) {
    GaussianDenoiser model = GaussianDenoiser.of(policy.schedule(), mean, deviation);
    int n = policy.steps();
    double[] a = new double[n];
    double[] b = new double[n];
    double[] sigma = new double[n];
    for (int i = 0; i < n; i++) {
      double t = policy.timestep(i);
      double slope = policy.outputFactor(i) * model.slope(t);
      a[i] = policy.stateFactor(i) + slope;
      b[i] = policy.outputFactor(i) * model.offset() - slope * model.center(t);
      sigma[i] = policy.sigma(i);
    }
    double[] gain = new double[n];
    double product = 1;
    for (int i = n - 1; i >= 0; i--) {
      gain[i] = product;
      product *= a[i];
    }
    return new GaussianChain(a, b, sigma, gain, product);
  }

  /** The factors a_i of x. */
  public double[] factors() {
    return a.clone();
  }

  /** The shifts b_i. */
  public double[] shifts() {
    return b.clone();
  }

  /** The standard deviations σ_i. */
  public double[] sigmas() {
    return sigma.clone();
  }

  /** {@code G_i = ∂x_0/∂m_i}: the product of the factors after step i. */
  public double[] gains() {
    return gain.clone();
  }

  /** {@code ∂x_0/∂x_T}. */
  public double startGain() {
    return startGain;
  }

  /**
   * The mean of x_0 from {@code x_T ~ N(0, 1)}.
   *
   * @param biases m, none for zeros
   */
  public double mean(double... biases) {
    double mean = 0;
    for (int i = 0; i < a.length; i++) {
      mean = a[i] * mean + b[i] + (biases.length == 0 ? 0 : biases[i]);
    }
    return mean;
  }

  /**
   * The part of the variance of x_0 that the steps bring in, {@code Σ(G_i·σ_i)²}: all of it where
   * x_T is given.
   */
  public double varianceOfSteps() {
    double variance = 0;
    for (int i = 0; i < a.length; i++) {
      variance += gain[i] * gain[i] * sigma[i] * sigma[i];
    }
    return variance;
  }

  /** The variance of x_0 from {@code x_T ~ N(0, 1)}; biases do not change it. */
  public double variance() {
    return startGain * startGain + varianceOfSteps();
  }

  /**
   * The biases that maximise {@code E[slope·x_0] − beta·KL(biased ‖ unbiased)} over whole chains,
   * the KL in units of true likelihood: {@code m_i = slope·G_i·σ_i²/beta}. They shift the mean of
   * x_0 by {@code slope·varianceOfSteps/beta}.
   */
  public double[] optimum(double slope, double beta) {
    double[] m = new double[a.length];
    for (int i = 0; i < m.length; i++) {
      m[i] = slope * gain[i] * sigma[i] * sigma[i] / beta;
    }
    return m;
  }
}
