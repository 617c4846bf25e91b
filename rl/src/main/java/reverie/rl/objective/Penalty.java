// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

/** What the KL weight of a run multiplies: how far a decision is from the reference model's. */
public enum Penalty {
  /**
   * The exact KL of the two Gaussians, {@code ‖μ_θ - μ_ref‖² / (2σ²)}, reduced over the elements of
   * an image as the log-probability is.
   */
  GAUSSIAN_KL,
  /**
   * The mean squared difference of the models' outputs, guidance included; for ε the KL without its
   * factor, which differs from step to step.
   */
  OUTPUT_ERROR
}
