// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.Arrays;
import java.util.Locale;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * PRDP, proximal reward difference prediction (Deng et al. 2024, eqs. 14 and 18 to 21, and the
 * published loss of App. G): for every two chains of a prompt the difference of their log-ratios is
 * regressed on the difference of their rewards,
 *
 * <pre>
 * max((d - Δr/beta)², (d_clip - Δr/beta)²),   d = Δ over pairs of mean_t (lp - lp_ref)
 * </pre>
 *
 * where {@code d_clip} has every step's log-ratio clipped to ± {@code clipRange} round what it was
 * at the beginning of the epoch. The loss is 0 only at the optimum of {@code E[r] - beta KL}.
 *
 * <p>Pairs with Δr = 0 say nothing and a group that has no others contributes 0, where the
 * published code divides 0 by 0.
 *
 * @param beta weight of the KL to the reference. In units of true likelihood it is {@code beta / (T
 *     D)} for {@link Time#MEAN} and {@code beta / D} for {@link Time#SUM}, T the decisions of a
 *     chain and D the elements of an image, if the policy takes means over elements; without the D
 *     if it sums. 3e-5 and 3e-6 in the paper
 * @param clipRange in the units of lp, per step; 1e-6 and 1e-4 in the paper, infinite for none
 * @param time how a chain's steps become one number
 */
public record Prdp(double beta, double clipRange, Time time) implements ChainObjective {
  /** How the log-ratios of a chain's steps become one number. */
  public enum Time {
    /** Their mean: the published code. */
    MEAN,
    /** Their sum: the paper's equations; the same as the mean with T times the beta. */
    SUM
  }

  /** Checks the ranges. */
  public Prdp {
    if (!(beta > 0 && Double.isFinite(beta) && clipRange > 0)) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "prdp: expected a positive beta and clip range, got %s and %s",
              beta,
              clipRange));
    }
  }

  /** The paper's large scale: beta 3e-6, steps clipped to ± 1e-4, means over time. */
  public Prdp() {
    this(3e-6, 1e-4, Time.MEAN);
  }

  @Override
  public String name() {
    return "prdp";
  }

  @Override
  public Tensor loss(Tensor logProb, Chains chains) {
    Pairs pairs = Pairs.of(chains);
    if (pairs.size() == 0) {
      return logProb.device().scalar(0);
    }
    Tensor moved = logProb.sub(chains.oldLogProb());
    Tensor ratio = logProb.sub(chains.referenceLogProb());
    Tensor clipped =
        chains.oldLogProb().sub(chains.referenceLogProb()).add(moved.clamp(-clipRange, clipRange));
    double[] targets = Arrays.stream(pairs.gaps()).map(gap -> gap / beta).toArray();
    Tensor target = logProb.device().tensor(targets, targets.length, 1);
    Tensor free = pairs.difference(overTime(ratio)).sub(target).square();
    Tensor held = pairs.difference(overTime(clipped)).sub(target).square();
    return pairs.mean(free.maximum(held));
  }

  private Tensor overTime(Tensor perStep) {
    return switch (time) {
      case MEAN -> perStep.meanKeep(1);
      case SUM -> perStep.sumKeep(1);
    };
  }

  @Override
  public boolean clips(double logProb, double oldLogProb, double referenceLogProb) {
    return Math.abs(logProb - oldLogProb) > clipRange;
  }
}
