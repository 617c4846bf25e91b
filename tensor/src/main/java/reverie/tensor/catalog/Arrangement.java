// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

/** How an input lies in memory; an operation's result must not depend on it. */
public enum Arrangement {
  /** Row-major without gaps. */
  CONTIGUOUS,
  /** Axes in reverse order; every second element where there is only one axis. */
  TRANSPOSED,
  /** A window of a larger tensor, at an offset, with NaN (−1 for indices) all round. */
  SLICED,
  /** The first axis longer than 1 is one element seen many times. */
  EXPANDED
}
