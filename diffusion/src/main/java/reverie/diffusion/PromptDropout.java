// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.Arrays;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * Trains a model to draw without a prompt too, which {@link Guidance} needs: with some probability
 * a sample's context is exchanged for the unconditional one.
 *
 * @param probability 0.1 is usual
 * @param unconditional {@code [1, tokens, dim]} the context of the empty prompt
 */
public record PromptDropout(double probability, Tensor unconditional) {
  /** Checks the probability and the shape. */
  public PromptDropout {
    if (!(probability >= 0 && probability <= 1)) {
      throw new ReverieException(
          "prompt dropout: expected a probability from 0 to 1, got " + probability);
    }
    if (unconditional.shape().rank() != 3 || unconditional.dim(0) != 1) {
      throw new ReverieException(
          "prompt dropout: expected an unconditional context [1, tokens, dim], got "
              + unconditional.type());
    }
  }

  /**
   * The contexts with some of them dropped.
   *
   * @param context {@code [n, tokens, dim]}
   * @param rows one sequence for each sample, the same as for {@link DenoisingLoss#draw}
   */
  public Tensor apply(Tensor context, Rng... rows) {
    double[] dropped =
        Arrays.stream(rows)
            .mapToDouble(row -> row.fork(2).uniform(0) < probability ? 1 : 0)
            .toArray();
    Tensor mask = context.device().tensor(dropped, dropped.length, 1, 1);
    return Ops.where(mask, unconditional, context);
  }
}
