// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import reverie.tensor.ReverieException;
import reverie.tensor.Shape;

/**
 * Standard normal numbers by Philox4x32-10 and Box–Muller. Row i of the result (its first axis) is
 * the start of the sequence of {@code (seeds[i], streams[i])}, whatever the other rows are; see
 * {@link reverie.tensor.Philox}.
 */
public record RandomNormal(long[] seeds, long[] streams, Shape shape) implements Creation {
  /** Checks that every row has its sequence. */
  public RandomNormal {
    if (shape.rank() == 0 || shape.dim(0) != seeds.length || seeds.length != streams.length) {
      throw new ReverieException(
          "random_normal: expected one seed and stream per row of "
              + shape
              + ", got "
              + seeds.length
              + " and "
              + streams.length);
    }
  }
}
