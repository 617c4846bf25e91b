// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.threads;

import java.util.function.IntConsumer;

/**
 * Carries out work that comes in numbered blocks: at once by a {@link Team}, or later, when it is
 * recorded in a {@link Recording}. So what a kernel does outside its blocks may look at addresses
 * and sizes, but never at the numbers of a tensor.
 *
 * <p>Kernels divide the work by the sizes of the data alone, never by the number of threads, and
 * blocks never share a sum. So which thread runs a block cannot change a bit of the result.
 */
public interface Parallel {
  /**
   * Runs {@code body} for every block from 0 to n−1, in any order; all are done before the next
   * such call begins.
   */
  void parallelFor(int n, IntConsumer body);
}
