// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.Set;
import reverie.tensor.Tensor;

/**
 * AWM, advantage weighted matching (Xue et al. 2025, eq. 11): PPO's clipped surrogate with the
 * denoising error {@code e = mean (v−u)²} in the place of the log-probability, {@code lp =
 * −w(σ)·e}:
 *
 * <pre>{@code
 * max(−A·ρ, −A·clip(ρ, 1 ± range)) + β·‖v−v_r‖² + β_e·‖v−v_e‖²      ρ = exp(lp − lp_o)
 * }</pre>
 *
 * with v_e of a slow average of the weights.
 *
 * @param weight w
 * @param power of e, for {@link Weight#GHUBER}; a quarter in the authors' code
 * @param clipRange of ρ; 1 there
 * @param advantageLimit A is clipped to ± this, 5 there
 * @param baseWeight β, 0.001 to 0.003 there
 * @param anchorWeight β_e, 1 there
 * @param anchor how the slow average follows; the authors': rise 0.001, limit 0.3
 * @param draws (timestep, noise) pairs per sample and update; 6 there
 */
public record AdvantageWeightedMatching(
    Weight weight,
    double power,
    double clipRange,
    double advantageLimit,
    double baseWeight,
    double anchorWeight,
    Lag anchor,
    int draws)
    implements ProximalObjective {
  private static final double EPSILON = 1e-10;

  /** How an error becomes a log-probability. */
  public enum Weight {
    /** −e. */
    UNIFORM,
    /** −σ·e. */
    SIGMA,
    /** −σ²·e. */
    SIGMA_SQUARED,
    /** −σ·√e, but for a constant. */
    HUBER,
    /** −σ·e^p/p, but for a constant. */
    GHUBER
  }

  /** Checks the ranges. */
  public AdvantageWeightedMatching {
    DdpoImportanceSampled.check("awm", clipRange, advantageLimit);
    Checks.require("awm", "power", power, power > 0 && power <= 1, "above 0 and at most 1");
    Checks.notNegative("awm", "base_weight", baseWeight);
    Checks.notNegative("awm", "anchor_weight", anchorWeight);
    Checks.draws("awm", draws);
  }

  /** The authors' values, 4 draws. */
  public AdvantageWeightedMatching() {
    this(Weight.GHUBER, 0.25, 1, 5, 1e-3, 1, new Lag(1e-3, 0.3), 4);
  }

  @Override
  public String name() {
    return "awm";
  }

  @Override
  public Set<Model> compared() {
    Set<Model> compared = ProximalObjective.super.compared();
    if (anchorWeight > 0) {
      compared.add(Model.ANCHOR);
    }
    return compared;
  }

  @Override
  public Tensor loss(Denoised d) {
    Tensor surrogate =
        new DdpoImportanceSampled(clipRange, advantageLimit)
            .loss(logProb(d, d.output()), logProb(d, d.old()), d.weight());
    Tensor loss = nearBase(d, surrogate);
    return anchorWeight > 0
        ? loss.add(Denoised.distance(d.output(), d.anchor()).mul(anchorWeight))
        : loss;
  }

  /** lp of an answer: {@code [n]}. */
  private Tensor logProb(Denoised d, Tensor answer) {
    Tensor e = d.error(answer);
    Tensor size =
        switch (weight) {
          case UNIFORM -> e;
          case SIGMA -> e.mul(d.noise());
          case SIGMA_SQUARED -> e.mul(d.noise().square());
          case HUBER -> e.add(EPSILON).sqrt().sub(Math.sqrt(EPSILON)).mul(d.noise());
          case GHUBER ->
              e.add(EPSILON).pow(power).sub(Math.pow(EPSILON, power)).mul(d.noise()).mul(1 / power);
        };
    return size.neg();
  }
}
