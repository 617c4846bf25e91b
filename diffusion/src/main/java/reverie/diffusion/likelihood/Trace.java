// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.likelihood;

import reverie.tensor.ReverieException;
import reverie.tensor.Rng;

/** How the divergence of a model, the trace of its Jacobian J, is found from products vᵀJ. */
public sealed interface Trace {
  /** From every unit vector, a pass through the model for each element. */
  record Exact() implements Trace {}

  /**
   * Hutchinson's estimate {@code E[vᵀJv]}, v of independent signs. The probes stay the same along
   * the whole integral, as they must: each gives an unbiased log-likelihood of its own.
   *
   * @param probes how many v
   * @param rng makes them
   */
  record Hutchinson(int probes, Rng rng) implements Trace {
    /** Checks the number of probes. */
    public Hutchinson {
      if (probes < 1) {
        throw new ReverieException("likelihood: expected at least one probe, got " + probes);
      }
    }
  }

  /** The number of vectors v for samples of so many elements. */
  default int vectors(int elements) {
    return switch (this) {
      case Exact() -> elements;
      case Hutchinson(int probes, Rng _) -> probes;
    };
  }

  /** The vectors from this one to that one, row by row. */
  default float[] rows(int from, int to, int elements) {
    float[] rows = new float[(to - from) * elements];
    for (int row = from; row < to; row++) {
      for (int i = 0; i < elements; i++) {
        rows[(row - from) * elements + i] =
            switch (this) {
              case Exact() -> i == row ? 1 : 0;
              case Hutchinson(int _, Rng rng) -> rng.fork(row).uniform(i) < 0.5 ? -1 : 1;
            };
      }
    }
    return rows;
  }
}
