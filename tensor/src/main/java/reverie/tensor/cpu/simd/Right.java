// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.set;
import static reverie.tensor.cpu.simd.Vectors.BYTES;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;
import static reverie.tensor.cpu.simd.Vectors.load;
import static reverie.tensor.cpu.simd.Vectors.store;

import jdk.incubator.vector.FloatVector;

/**
 * Where the columns of B lie, in panels of {@link MicroKernel#COLUMNS}: in place if its rows are
 * short and whole vectors, otherwise packed.
 *
 * @param address the first panel
 * @param step bytes between neighbours along the sum
 * @param panelStride bytes between panels
 */
record Right(long address, long step, long panelStride) {
  /** Rows of B longer than this many bytes would use one page of the address cache each. */
  private static final long MAX_ROW = 1024;

  static int panels(int n) {
    return (n + MicroKernel.COLUMNS - 1) / MicroKernel.COLUMNS;
  }

  /** Whether B can be read where it is. */
  static boolean inPlace(long rowBytes, long columnBytes, int n) {
    return columnBytes == 4 && n % WIDTH == 0 && rowBytes <= MAX_ROW;
  }

  static Right inPlace(long address, long rowBytes) {
    return new Right(address, rowBytes, 2 * BYTES);
  }

  /** A packed B of k × n at this address. */
  static Right packed(long address, int k) {
    return new Right(address, 2 * BYTES, 2 * BYTES * k);
  }

  /** Bytes that {@link #packed} needs. */
  static long packedBytes(int k, int n) {
    return 2 * BYTES * k * panels(n);
  }

  /**
   * Copies rows {@code firstRow …} of a panel from a k × n matrix of any strides, filled up with
   * zeros.
   */
  void pack(int panel, long source, long rowBytes, long columnBytes, int firstRow, int k, int n) {
    long from = source + (long) panel * MicroKernel.COLUMNS * columnBytes;
    long to = address + panel * panelStride + firstRow * step;
    int columns = Math.min(MicroKernel.COLUMNS, n - panel * MicroKernel.COLUMNS);
    if (columnBytes == 4 && columns == MicroKernel.COLUMNS) {
      for (int row = 0; row < k; row++) {
        long f = from + row * rowBytes;
        long t = to + row * step;
        store(load(f), t);
        store(load(f + BYTES), t + BYTES);
      }
      return;
    }
    for (int row = 0; columns < MicroKernel.COLUMNS && row < k; row++) {
      store(FloatVector.zero(Vectors.SPECIES), to + row * step);
      store(FloatVector.zero(Vectors.SPECIES), to + row * step + BYTES);
    }
    if (columnBytes == 4) {
      for (int row = 0; row < k; row++) {
        for (int column = 0; column < columns; column++) {
          set(to + row * step + 4L * column, get(from + row * rowBytes + 4L * column));
        }
      }
    } else {
      for (int column = 0; column < columns; column++) {
        long f = from + column * columnBytes;
        long t = to + 4L * column;
        for (int row = 0; row < k; row++) {
          set(t + row * step, get(f + row * rowBytes));
        }
      }
    }
  }
}
