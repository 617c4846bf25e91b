// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.threads;

import java.util.function.IntConsumer;

/**
 * Carries out work that comes in numbered chunks: at once by a {@link Team}, or later, when it is
 * noted in a {@link Recording}. So what a kernel does outside its chunks may look at addresses and
 * sizes, but never at the numbers of a tensor.
 *
 * <p>Kernels decide the chunks from the sizes of the data alone, never from the number of threads,
 * and chunks never share a sum. So which thread runs a chunk cannot change a bit of the result.
 */
public interface Parallel {
  /** Threads that share the work, the caller included. */
  int threads();

  /**
   * Runs {@code body} for every chunk in {@code 0 … chunks-1}, in any order; all are done before
   * the next such call begins.
   */
  void forEach(int chunks, IntConsumer body);
}
