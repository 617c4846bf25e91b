// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.Locale;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * DDPO_IS (Black et al. 2023, §4.2): {@code max(-A rho, -A clip(rho, 1 - range, 1 + range))} with
 * {@code rho = exp(lp - lp_old)}, PPO's clipped surrogate per denoising step; several updates per
 * rollout.
 *
 * <p>{@code rho} is the ratio of <em>mean</em> log-densities where the policy takes means, so that
 * the trust region in likelihood units is the D-th power of the one given here, D the number of
 * elements of an image. At {@code lp == lp_old} the clipping does nothing and the gradient is that
 * of {@link DdpoScoreFunction}.
 *
 * @param clipRange 1e-4 in the paper, whatever the size of images, the number of steps and their
 *     noise are: {@link reverie.rl.learn.EpochReport#clipFraction} says whether it fits
 * @param advantageLimit advantages are clamped to ± this, 5 in ddpo-pytorch, 10 in the authors' own
 *     code
 */
public record DdpoImportanceSampled(double clipRange, double advantageLimit)
    implements StepObjective {
  /**
   * Beyond this log-ratio {@code exp} says nothing any more; it keeps a diverged policy from making
   * Inf.
   */
  private static final double MAX_LOG_RATIO = 20;

  /** Checks the ranges. */
  public DdpoImportanceSampled {
    check("ddpo_is", clipRange, advantageLimit);
  }

  /** The values of the reference implementation: 1e-4 and 5. */
  public DdpoImportanceSampled() {
    this(1e-4, 5);
  }

  @Override
  public String name() {
    return "ddpo_is";
  }

  @Override
  public Tensor loss(Tensor logProb, Tensor oldLogProb, Tensor advantage) {
    Tensor ratio = ratio(logProb, oldLogProb);
    Tensor cost = advantage.clamp(-advantageLimit, advantageLimit).neg();
    return cost.mul(ratio).maximum(cost.mul(ratio.clamp(1 - clipRange, 1 + clipRange)));
  }

  /** ρ, finite whatever the policy does. */
  static Tensor ratio(Tensor logProb, Tensor oldLogProb) {
    return logProb.sub(oldLogProb).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp();
  }

  static void check(String name, double clipRange, double advantageLimit) {
    if (!(clipRange > 0 && advantageLimit > 0)) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "%s: expected a positive clip range and advantage limit, got %s and %s",
              name,
              clipRange,
              advantageLimit));
    }
  }
}
