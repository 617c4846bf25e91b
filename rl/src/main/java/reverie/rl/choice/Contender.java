// SPDX-License-Identifier: Apache-2.0
package reverie.rl.choice;

import java.util.ArrayList;
import java.util.List;
import reverie.rl.objective.DiffusionDpo;
import reverie.rl.objective.Objective;
import reverie.rl.objective.OdeDpo;
import reverie.rl.objective.Ppod;

/**
 * An objective as it is compared.
 *
 * @param sharedStart whether both samples of a pair start from the same x_T, of objectives that
 *     draw their own
 */
public record Contender(String name, Objective objective, boolean sharedStart) {
  /**
   * PPOD over chains and per step, Diffusion-DPO, and DPO on log-likelihoods with these numbers of
   * probes.
   *
   * @param beta weight of the true KL. That of Diffusion-DPO is what it would be if the weights of
   *     the variational bound were 1
   * @param elements of a sample, over which log-probabilities are means
   * @param steps of the probability flow
   */
  public static List<Contender> all(double beta, int elements, int steps, int... probes) {
    List<Contender> all = new ArrayList<>();
    for (boolean shared : new boolean[] {false, true}) {
      String start = shared ? ", one x_T a pair" : "";
      for (Ppod.Span span : new Ppod.Span[] {Ppod.Span.CHAIN, Ppod.Span.STEP}) {
        all.add(
            new Contender(
                (span == Ppod.Span.CHAIN ? "PPOD over chains" : "PPOD per step") + start,
                new Ppod(Ppod.Link.SIGMOID, span, beta * elements, Double.POSITIVE_INFINITY),
                shared));
      }
    }
    all.add(new Contender("Diffusion-DPO", new DiffusionDpo(2 * beta * elements), false));
    for (int count : probes) {
      String how = count == 0 ? "exact" : count + (count == 1 ? " probe" : " probes");
      all.add(new Contender("ode_dpo, " + how, new OdeDpo(beta, steps, count), false));
    }
    return all;
  }
}
