// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.Locale;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * PPOD / D3PO, direct preference optimisation of the chain (Yang et al. 2024 and its code; Rafailov
 * et al. 2023): of two chains of a prompt the one that earned more becomes likelier,
 *
 * <pre>
 * l(h),   h = beta (log rho_w - log rho_l),   rho = clip(p_theta / p_ref, 1 ± clipRange)
 * </pre>
 *
 * with the loss {@code -log sigmoid(h)} or another {@link Link}, per step or on the sum over a
 * chain's steps. Every ratio of a step is clipped; beyond the range it has no gradient.
 *
 * <p>All pairs of a group count, those that earned the same say nothing.
 *
 * @param link the loss of a pair
 * @param span what a pair is
 * @param beta in units of true likelihood of whole chains it is {@code beta / D} for {@link
 *     Span#CHAIN}, D the elements of an image, if the policy takes means over elements, and beta
 *     itself if it sums. 0.1 in D3PO
 * @param clipRange of the ratio per step, in the units of lp; 0.1 in D3PO, infinite for none
 */
public record Ppod(Link link, Span span, double beta, double clipRange) implements ChainObjective {
  /** The loss of a pair. */
  public enum Link {
    /** {@code -log sigmoid(h)}, the likelihood of Bradley and Terry's model of choices. */
    SIGMOID,
    /** {@code max(0, 1 - h)}: nothing is learnt from pairs that are far enough apart. */
    HINGE,
    /** {@code (h / beta - 1 / (2 beta))²} (Azar et al. 2023): log-ratios that differ by so much. */
    IPO
  }

  /** What is compared. */
  public enum Span {
    /** The two actions at every step: the code of D3PO. The mean over steps is taken. */
    STEP,
    /** The two chains, with the sum of their steps' log-ratios. */
    CHAIN
  }

  /** Checks the ranges. */
  public Ppod {
    if (!(beta > 0 && Double.isFinite(beta) && clipRange > 0)) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "ppod: expected a positive beta and clip range, got %s and %s",
              beta,
              clipRange));
    }
  }

  /** The values of D3PO: sigmoid per step, beta 0.1, ratios clipped to 1 ± 0.1. */
  public Ppod() {
    this(Link.SIGMOID, Span.STEP, 0.1, 0.1);
  }

  @Override
  public String name() {
    return "ppod";
  }

  @Override
  public Tensor loss(Tensor logProb, Chains chains) {
    Pairs pairs = Pairs.of(chains);
    if (pairs.size() == 0) {
      return logProb.device().scalar(0);
    }
    Tensor ratio = logProb.sub(chains.referenceLogProb()).clamp(low(), high());
    Tensor compared =
        switch (span) {
          case STEP -> ratio;
          case CHAIN -> ratio.sumKeep(1);
        };
    return pairs.mean(loss(pairs.difference(compared)));
  }

  private Tensor loss(Tensor difference) {
    return switch (link) {
      case SIGMOID -> difference.mul(beta).logSigmoid().neg();
      case HINGE -> difference.mul(-beta).add(1).relu();
      case IPO -> difference.sub(1 / (2 * beta)).square();
    };
  }

  private double low() {
    return clipRange < 1 ? Math.log1p(-clipRange) : Double.NEGATIVE_INFINITY;
  }

  private double high() {
    return Math.log1p(clipRange);
  }

  @Override
  public boolean clips(double logProb, double oldLogProb, double referenceLogProb) {
    double ratio = logProb - referenceLogProb;
    return ratio < low() || ratio > high();
  }
}
