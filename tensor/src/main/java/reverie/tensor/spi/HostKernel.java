// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.spi;

import java.lang.foreign.MemorySegment;

/**
 * A kernel of your own for the processor, in Java or behind the foreign function interface. Inputs
 * are contiguous and hold floats (or ints where they are indices) in the machine's byte order.
 */
@FunctionalInterface
public interface HostKernel {
  /**
   * Into how many independent tasks the work is divided, which may be carried out by several
   * threads at once.
   */
  default int tasks() {
    return 1;
  }

  /**
   * Does one task. It writes all elements of the outputs that are its own, which are undefined
   * before, and nothing else; the same inputs give the same bits.
   *
   * @param task from 0 to {@link #tasks} − 1
   */
  void run(int task, MemorySegment[] inputs, MemorySegment[] outputs);
}
