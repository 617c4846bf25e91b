// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.List;
import reverie.rl.prompt.Prompt;
import reverie.tensor.Tensor;

/** From prompts to what a denoiser is conditioned on. */
@FunctionalInterface
public interface ContextEncoder {
  /** For a model without conditions. */
  ContextEncoder NONE = _ -> null;

  /**
   * Encodes prompts; the same prompt always gives the same rows.
   *
   * @return {@code [prompts.size(), tokens, dim]} in the caller's scope, or null for a model
   *     without conditions
   */
  Tensor encode(List<Prompt> prompts);
}
