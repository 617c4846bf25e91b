// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import reverie.tensor.Tensor;

/**
 * CRD, centred reward distillation (2026, arXiv 2603.14128), the idea of {@link Prdp} in the
 * forward process: the implicit reward {@code r_θ = −(‖v−u‖²/w − ‖v_o−u‖²/w_o)} is regressed on
 * {@code a = ½ + A/(2·limit)}, both without their mean over the samples of a prompt:
 *
 * <pre>{@code
 * (limit/β)·(β·(r_θ − stopped mean r_θ) − (a − mean a))² + λ·‖v−v_r‖²
 * }</pre>
 *
 * @param beta of the implicit reward; 1 in the public code
 * @param weighted whether w and w_o are the means of the absolute errors, no gradient through them;
 *     else 1
 * @param advantageLimit A is clipped to ± this, 5 there
 * @param baseWeight λ; 0.1 there, and that times the sample's a
 * @param old how the model that draws follows
 * @param draws (timestep, noise) pairs per sample and update
 */
public record CenteredRewardDistillation(
    double beta, boolean weighted, double advantageLimit, double baseWeight, Lag old, int draws)
    implements ProximalObjective {
  /** Checks the ranges. */
  public CenteredRewardDistillation {
    ProximalObjective.check("crd", beta, advantageLimit, baseWeight, draws);
  }

  /** A β of 1, weighted, λ of 1e-4 as in {@link DiffusionNft}, 4 draws. */
  public CenteredRewardDistillation() {
    this(1, true, 5, 1e-4, new Lag(1e-3, 0.5), 4);
  }

  @Override
  public String name() {
    return "crd";
  }

  @Override
  public boolean couples() {
    return true;
  }

  /** β·r_θ − a, whose mean holds both means. */
  @Override
  public Tensor coupling(Denoised d) {
    Tensor a = d.weight().clamp(-advantageLimit, advantageLimit).mul(0.5 / advantageLimit).add(0.5);
    return error(d, d.old()).sub(error(d, d.output())).mul(beta).sub(a);
  }

  @Override
  public Tensor loss(Denoised d) {
    return nearBase(d, coupling(d).sub(d.group()).square().mul(advantageLimit / beta));
  }

  private Tensor error(Denoised d, Tensor answer) {
    return weighted
        ? d.error(answer).div(DiffusionNft.atLeast(d.absoluteError(answer)))
        : d.error(answer);
  }
}
