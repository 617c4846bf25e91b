// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.Arrays;
import java.util.stream.IntStream;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * Direct preference optimisation from a whole ranking (Plackett 1975; Rafailov et al. 2023, App.
 * A.3): the negative log-likelihood that a group's chains are ranked as their rewards rank them,
 *
 * <pre>
 * - Σ_i log( e^{s_i} / (e^{s_i} + Σ_{j: r_j &lt; r_i} e^{s_j}) ),   s = beta Σ_t (lp - lp_ref)
 * </pre>
 *
 * averaged over groups. Chains that earned the same are not compared with each other, so that a
 * group without any difference says nothing; without ties it is Plackett and Luce's likelihood, and
 * with two chains the loss of {@link Ppod} on whole chains without clipping.
 *
 * @param beta in units of true likelihood of whole chains it is {@code beta / D}, D the elements of
 *     an image, if the policy takes means over elements, and beta itself if it sums
 */
public record PlackettLuce(double beta) implements ChainObjective {
  /** Out of the sum, and finite. */
  private static final double NEVER = -1e300;

  /** Checks the range. */
  public PlackettLuce {
    if (!(beta > 0 && Double.isFinite(beta))) {
      throw new ReverieException("plackett_luce: expected a positive beta, got " + beta);
    }
  }

  /** The beta of D3PO, 0.1. */
  public PlackettLuce() {
    this(0.1);
  }

  @Override
  public String name() {
    return "plackett_luce";
  }

  @Override
  public Tensor loss(Tensor logProb, Chains chains) {
    Device device = logProb.device();
    int n = chains.rewards().length;
    Tensor score = logProb.sub(chains.referenceLogProb()).sum(1).mul(beta);
    // Row i: s_j - s_i for those that i was preferred to and itself.
    double[] outside = outside(chains);
    Tensor lead = score.reshape(1, n).sub(score.reshape(n, 1)).add(device.tensor(outside, n, n));
    Tensor largest = lead.maxKeep(1).detach();
    Tensor surprise = lead.sub(largest).exp().sumKeep(1).log().add(largest);
    long groups = IntStream.of(chains.groups()).distinct().count();
    return surprise.sum().div(groups);
  }

  /**
   * For each two chains 0 if the second is the first or earned less than it for the same prompt.
   */
  private static double[] outside(Chains chains) {
    double[] rewards = chains.rewards();
    int[] groups = chains.groups();
    int n = rewards.length;
    double[] outside = new double[n * n];
    Arrays.setAll(
        outside,
        at -> {
          int i = at / n;
          int j = at % n;
          return i == j || groups[i] == groups[j] && rewards[j] < rewards[i] ? 0 : NEVER;
        });
    return outside;
  }
}
