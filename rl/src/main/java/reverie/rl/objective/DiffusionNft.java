// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import reverie.tensor.Tensor;

/**
 * DiffusionNFT (Zheng et al. 2025, eq. 5 and 6): good samples pull the model to one side of the
 * model that drew them, bad ones push it to the other. With {@code r = clip(½ + A/(2·limit), 0, 1)}
 * and the implicit models {@code v⁺ = (1−β)·v_o + β·v}, {@code v⁻ = (1+β)·v_o − β·v}
 *
 * <pre>{@code
 * (limit/β)·[r·‖v⁺−u‖² + (1−r)·‖v⁻−u‖²] + λ·‖v−v_r‖²
 * }</pre>
 *
 * Weighted, as in the authors' code, the errors are those of x̂₀, each divided by the mean of its
 * absolute value.
 *
 * @param beta how far the implicit models lie from v_o; 1 or 0.1 in the paper
 * @param weighted whether errors are weighted
 * @param advantageLimit A is clipped to ± this, which is r = 0 and 1; 5 in the authors' code
 * @param baseWeight λ, 1e-4 there
 * @param old how the model that draws follows; the authors': rise 0.001, limit 0.5
 * @param draws (timestep, noise) pairs per sample and update
 */
public record DiffusionNft(
    double beta, boolean weighted, double advantageLimit, double baseWeight, Lag old, int draws)
    implements ProximalObjective {
  /** No error counts more than this makes of it. */
  static final double MIN_ERROR = 1e-5;

  /** Checks the ranges. */
  public DiffusionNft {
    ProximalObjective.check("nft", beta, advantageLimit, baseWeight, draws);
  }

  /** The authors' values, 4 draws. */
  public DiffusionNft() {
    this(1, true, 5, 1e-4, new Lag(1e-3, 0.5), 4);
  }

  @Override
  public String name() {
    return "nft";
  }

  @Override
  public Tensor loss(Denoised d) {
    Tensor r = d.weight().mul(0.5 / advantageLimit).add(0.5).clamp(0, 1);
    Tensor positive = d.old().mul(1 - beta).add(d.output().mul(beta));
    Tensor negative = d.old().mul(1 + beta).sub(d.output().mul(beta));
    Tensor sum =
        r.mul(error(d, positive))
            .add(r.neg().add(1).mul(error(d, negative)))
            .mul(advantageLimit / beta);
    return nearBase(d, sum);
  }

  private Tensor error(Denoised d, Tensor answer) {
    if (!weighted) {
      return d.error(answer);
    }
    Tensor size = d.absoluteError(answer).mul(d.scale());
    return d.error(answer).mul(d.scale().square()).div(atLeast(size));
  }

  /** No less than {@link #MIN_ERROR}. */
  static Tensor atLeast(Tensor size) {
    return size.clamp(MIN_ERROR, Double.POSITIVE_INFINITY);
  }
}
