// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

/** A number that every finished run has. */
public enum Metric {
  /** Mean reward on training prompts, after minus before. */
  REWARD_GAIN("reward gained"),
  /** The same on prompts held out. */
  HELDOUT_GAIN("reward gained on held-out prompts"),
  /**
   * The largest gain on training prompts of all evaluations along the run that still recognise
   * {@link #SAFE_SHARE} of their images; 0 if none gains.
   */
  SAFE_GAIN("safe gain"),
  /** Share of training prompts' images still recognised. */
  RECOGNISED("recognised"),
  /** The same, after minus before. */
  RECOGNISED_CHANGE("change of the share recognised"),
  /** KL divergence to the base model per step and element, at the last epoch. */
  KL_TO_BASE("KL to the base"),
  /**
   * Standard deviation of the reward over x_T and the noise of the steps, for images of one prompt
   * of the last rollout; that of the base model where samples were collected offline.
   */
  DEVIATION("deviation within a prompt");

  /** What share of the images a safe gain leaves recognised. */
  static final double SAFE_SHARE = 0.7;

  private final String label;

  Metric(String label) {
    this.label = label;
  }

  /** A few words for tables. */
  public String label() {
    return label;
  }
}
