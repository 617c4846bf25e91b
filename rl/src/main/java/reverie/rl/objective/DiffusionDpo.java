// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * Diffusion-DPO (Wallace et al. 2024, §4): {@code -log sigmoid(-β/2 [(m_w - ref_w) - (m_l -
 * ref_l)])}, where m is the denoising loss. The logarithm is taken of each pair before the mean,
 * not of the mean.
 *
 * @param beta in the units of the authors' code: the factor ½ is theirs, and m is a mean over the
 *     elements of an image. 2000 for Stable Diffusion 1.5 and 5000 for SDXL there; the paper's own
 *     β is {@code beta / (2 T ω)} with the T timesteps and the weights ω of the forward process,
 *     and with sums over the D elements D times smaller
 */
public record DiffusionDpo(double beta) implements PreferenceObjective {
  /** Checks β. */
  public DiffusionDpo {
    if (!(beta > 0 && Double.isFinite(beta))) {
      throw new ReverieException("diffusion_dpo: expected a positive beta, got " + beta);
    }
  }

  /** The value of the paper for Stable Diffusion 1.5: 2000. */
  public DiffusionDpo() {
    this(2000);
  }

  @Override
  public String name() {
    return "diffusion_dpo";
  }

  @Override
  public Tensor loss(Tensor chosen, Tensor rejected) {
    return chosen.sub(rejected).mul(-beta / 2).logSigmoid().neg();
  }
}
