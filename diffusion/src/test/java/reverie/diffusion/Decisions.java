// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.function.IntFunction;
import java.util.stream.IntStream;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;

/** Decisions of several samples at several steps, as one batch. */
record Decisions(Tensor before, Tensor after, Tensor logProb, int[] steps) {
  /** Picks decision {@code (rows[i], steps[i])} for each i. */
  static Decisions of(Trajectory from, int[] rows, int[] steps) {
    return new Decisions(
        pick(from::before, rows, steps),
        pick(from::after, rows, steps),
        pick(from::logProb, rows, steps),
        steps);
  }

  private static Tensor pick(IntFunction<Tensor> of, int[] rows, int[] steps) {
    return Ops.concat(
        0,
        IntStream.range(0, rows.length)
            .mapToObj(i -> of.apply(steps[i]).slice(0, rows[i], rows[i] + 1))
            .toArray(Tensor[]::new));
  }
}
