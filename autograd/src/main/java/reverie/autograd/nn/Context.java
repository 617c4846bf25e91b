// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * What the predictions of a batch of samples are conditioned on, such as the tokens of prompts. A
 * model that is asked for several predictions of each sample computes what comes before its first
 * look at a context once for all of them, and what depends on a context alone once for each row.
 *
 * @param rows {@code [k·n, tokens, dim]}: one for each of n samples, then the next for each; or
 *     {@code [1 + n, tokens, dim]}: one for all samples, then one for each, as in guidance
 * @param predictions k·n; 2·n where the first row is for all samples
 */
public record Context(Tensor rows, int predictions) {
  /**
   * The context of {@code samples} samples.
   *
   * @throws ReverieException if there are neither k·n nor 1 + n rows
   */
  public static Context of(Tensor rows, int samples) {
    if (Ops.repeats(samples, rows.dim(0))) {
      return new Context(rows, rows.dim(0));
    }
    if (rows.dim(0) != samples + 1) {
      throw new ReverieException(
          "context: expected " + samples + " rows, got " + rows.type(),
          "one for each sample, or several: a multiple of "
              + samples
              + ", or one for all and "
              + samples);
    }
    return new Context(rows, 2 * samples);
  }

  /** A context of its own for each prediction. */
  public static Context each(Tensor rows) {
    return new Context(rows, rows.dim(0));
  }

  /** One row for each prediction, of what was computed from {@link #rows}. */
  public Tensor spread(Tensor ofRows) {
    return Ops.repeatFirst(ofRows, predictions);
  }
}
