// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * Classifier-free guidance (Ho and Salimans 2022): {@code ε_u + w·(ε_c − ε_u)}. It is part of the
 * policy: the same object samples and trains, and gradients flow through both branches, which are
 * one batch of 2n, the unconditional first.
 *
 * @param denoiser the model
 * @param scale w; 1 asks only the conditional branch
 * @param unconditional {@code [1, tokens, dim]} the context of the empty prompt; may be null where
 *     w is 1
 */
public record Guidance(Denoiser denoiser, double scale, Tensor unconditional) implements Denoiser {
  /** Checks that there is an unconditional context to guide away from. */
  public Guidance {
    if (!Double.isFinite(scale)) {
      throw new ReverieException("guidance: expected a finite scale, got " + scale);
    }
    if (scale != 1
        && (unconditional == null
            || unconditional.shape().rank() != 3
            || unconditional.dim(0) != 1)) {
      throw new ReverieException(
          "guidance: scale "
              + scale
              + " needs an unconditional context [1, tokens, dim], got "
              + (unconditional == null ? "none" : unconditional.type()),
          "give the encoded empty prompt, or use scale 1");
    }
  }

  @Override
  public Tensor predict(Tensor x, Tensor timesteps, Tensor context) {
    if (scale == 1) {
      return denoiser.predict(x, timesteps, context);
    }
    if (context == null) {
      throw new ReverieException(
          "guidance: expected a context for " + x.type() + ", got none", "use scale 1 without one");
    }
    Tensor contexts = Ops.concat(0, unconditional, context);
    Tensor[] branches = denoiser.predictEach(x, timesteps, contexts).split(0, 2);
    return branches[0].add(branches[1].sub(branches[0]).mul(scale));
  }
}
