// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import reverie.tensor.cuda.driver.Pool;
import reverie.tensor.spi.Buffer;

/** Scratch memory of an operation, taken piece by piece. */
final class Space {
  private static final long ALIGNMENT = 256;

  private long next;

  /** The memory of a buffer; none if it is null. */
  Space(Buffer buffer) {
    next = buffer == null ? 0 : ((Pool.Block) buffer).address();
  }

  /** What a piece of so many bytes takes. */
  static long aligned(long bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /** The address of a piece of so many bytes. */
  long take(long bytes) {
    long piece = next;
    next += aligned(bytes);
    return piece;
  }
}
