// SPDX-License-Identifier: Apache-2.0
package reverie.bench.step;

import reverie.autograd.nn.Lora;
import reverie.autograd.optim.AdamW;

/**
 * The constants of the measured steps, the same on both sides.
 *
 * @param guidance the scale of classifier-free guidance
 * @param clipRange of DDPO_IS
 * @param advantageLimit of DDPO_IS
 * @param clipNorm the longest gradient
 * @param learningRate of AdamW
 * @param adamW its other constants
 */
public record StepSettings(
    double guidance,
    double clipRange,
    double advantageLimit,
    double clipNorm,
    double learningRate,
    AdamW.Options adamW) {
  /** Of the adapters that are trained. */
  public static final Lora.Size ADAPTERS = new Lora.Size(4, 4);

  /** Those of the authors of DDPO. */
  public static StepSettings usual() {
    return new StepSettings(5, 1e-4, 5, 1, 1e-4, AdamW.Options.weightDecay(1e-4));
  }

  /** The same with another range of the probability ratio. */
  public StepSettings withClipRange(double range) {
    return new StepSettings(guidance, range, advantageLimit, clipNorm, learningRate, adamW);
  }
}
