// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.Locale;
import reverie.tensor.ReverieException;

/** What a denoiser's output stands for, given {@code x_t = √ᾱ_t·x_0 + √(1−ᾱ_t)·ε}. */
public enum Prediction {
  /** The noise ε. */
  EPSILON,
  /** {@code v = √ᾱ_t·ε − √(1−ᾱ_t)·x_0} (Salimans and Ho 2022). */
  V_PREDICTION,
  /** The clean sample {@code x_0}. */
  SAMPLE,
  /**
   * The velocity {@code ε − x_0} of a flow {@code x_σ = (1−σ)·x_0 + σ·ε} (Lipman et al. 2023, Liu
   * et al. 2023).
   */
  FLOW;

  /** The name in diffusers' configuration. */
  public String key() {
    return this == FLOW ? "flow_prediction" : name().toLowerCase(Locale.ROOT);
  }

  /** The factor of x_t in x̂0, where this is what is left of x_0 in x_t. */
  double stateFactor(double signal) {
    return switch (this) {
      case EPSILON -> 1 / signal;
      case V_PREDICTION -> signal;
      case SAMPLE -> 0;
      case FLOW -> 1;
    };
  }

  /**
   * The factor of the output in x̂0.
   *
   * @param signal the factor of x_0 in x_t
   * @param noise the factor of the noise in x_t
   */
  public double outputFactor(double signal, double noise) {
    return switch (this) {
      case EPSILON -> -noise / signal;
      case V_PREDICTION, FLOW -> -noise;
      case SAMPLE -> 1;
    };
  }

  /** The prediction of this name in diffusers' configuration. */
  public static Prediction of(String key) {
    for (Prediction prediction : values()) {
      if (prediction.key().equals(key)) {
        return prediction;
      }
    }
    throw new ReverieException(
        "scheduler config: prediction_type \"" + ReverieException.shown(key) + "\" is not known",
        "one of epsilon, v_prediction, sample, or flow_prediction with a flow's scheduler");
  }
}
