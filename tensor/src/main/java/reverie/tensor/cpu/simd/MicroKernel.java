// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;
import static reverie.tensor.cpu.memory.Memory.ALL;
import static reverie.tensor.cpu.simd.Vectors.BYTES;
import static reverie.tensor.cpu.simd.Vectors.ORDER;
import static reverie.tensor.cpu.simd.Vectors.SPECIES;

import jdk.incubator.vector.FloatVector;

/**
 * The innermost matrix product: 6 rows times 2 or 1 vectors of columns, held in registers.
 *
 * <p>The product runs over a list of segments, each a stretch of the summed index along which A and
 * B advance by fixed steps. A plain product has one segment; a convolution has one for each tap of
 * its kernel, whose six row addresses point straight into the image (or at zeros, for padding), so
 * patches are never copied. An entry of the table has eight longs: six row addresses of A, the
 * address of B, the length.
 *
 * <p>Everything is written out because a vector that crosses a call which is not inlined, or sits
 * in an array, is boxed. Wider tiles would fit AVX-512's registers, but the compiler gives up on so
 * long a method or spills.
 */
final class MicroKernel {
  /** Rows of C in a tile. */
  static final int ROWS = 6;

  /** Bytes of one entry of the table. */
  static final long ENTRY = 64;

  /** Columns of C in a tile. */
  static final int COLUMNS = 2 * Vectors.WIDTH;

  private MicroKernel() {}

  /**
   * C = A·B for one tile.
   *
   * @param vectors 2 or 1
   * @param aShift bytes added to every row address of the table
   * @param bShift bytes added to every B address of the table
   * @param aStep bytes between neighbours of A along the sum
   * @param bStep bytes between neighbours of B along the sum
   * @param cRow bytes between rows of C
   */
  static void multiply(
      int vectors,
      long table,
      int segments,
      long aShift,
      long bShift,
      long aStep,
      long bStep,
      long c,
      long cRow) {
    if (vectors == 2) {
      tile2(table, segments, aShift, bShift, aStep, bStep, c, cRow);
    } else {
      tile1(table, segments, aShift, bShift, aStep, bStep, c, cRow);
    }
  }

  private static void tile2(
      long table,
      int segments,
      long aShift,
      long bShift,
      long aStep,
      long bStep,
      long c,
      long cRow) {
    FloatVector zero = FloatVector.zero(SPECIES);
    FloatVector c00 = zero;
    FloatVector c01 = zero;
    FloatVector c10 = zero;
    FloatVector c11 = zero;
    FloatVector c20 = zero;
    FloatVector c21 = zero;
    FloatVector c30 = zero;
    FloatVector c31 = zero;
    FloatVector c40 = zero;
    FloatVector c41 = zero;
    FloatVector c50 = zero;
    FloatVector c51 = zero;
    for (int s = 0; s < segments; s++) {
      long entry = table + s * ENTRY;
      long a0 = ALL.get(JAVA_LONG, entry) + aShift;
      long a1 = ALL.get(JAVA_LONG, entry + 8) + aShift;
      long a2 = ALL.get(JAVA_LONG, entry + 16) + aShift;
      long a3 = ALL.get(JAVA_LONG, entry + 24) + aShift;
      long a4 = ALL.get(JAVA_LONG, entry + 32) + aShift;
      long a5 = ALL.get(JAVA_LONG, entry + 40) + aShift;
      long b = ALL.get(JAVA_LONG, entry + 48) + bShift;
      int length = (int) ALL.get(JAVA_LONG, entry + 56);
      long at = 0;
      for (int k = 0; k < length; k++) {
        FloatVector b0 = fromMemorySegment(SPECIES, ALL, b, ORDER);
        FloatVector b1 = fromMemorySegment(SPECIES, ALL, b + BYTES, ORDER);
        FloatVector a = FloatVector.broadcast(SPECIES, ALL.get(JAVA_FLOAT_UNALIGNED, a0 + at));
        c00 = a.fma(b0, c00);
        c01 = a.fma(b1, c01);
        a = FloatVector.broadcast(SPECIES, ALL.get(JAVA_FLOAT_UNALIGNED, a1 + at));
        c10 = a.fma(b0, c10);
        c11 = a.fma(b1, c11);
        a = FloatVector.broadcast(SPECIES, ALL.get(JAVA_FLOAT_UNALIGNED, a2 + at));
        c20 = a.fma(b0, c20);
        c21 = a.fma(b1, c21);
        a = FloatVector.broadcast(SPECIES, ALL.get(JAVA_FLOAT_UNALIGNED, a3 + at));
        c30 = a.fma(b0, c30);
        c31 = a.fma(b1, c31);
        a = FloatVector.broadcast(SPECIES, ALL.get(JAVA_FLOAT_UNALIGNED, a4 + at));
        c40 = a.fma(b0, c40);
        c41 = a.fma(b1, c41);
        a = FloatVector.broadcast(SPECIES, ALL.get(JAVA_FLOAT_UNALIGNED, a5 + at));
        c50 = a.fma(b0, c50);
        c51 = a.fma(b1, c51);
        at += aStep;
        b += bStep;
      }
    }
    c00.intoMemorySegment(ALL, c, ORDER);
    c01.intoMemorySegment(ALL, c + BYTES, ORDER);
    c10.intoMemorySegment(ALL, c + cRow, ORDER);
    c11.intoMemorySegment(ALL, c + cRow + BYTES, ORDER);
    c20.intoMemorySegment(ALL, c + 2 * cRow, ORDER);
    c21.intoMemorySegment(ALL, c + 2 * cRow + BYTES, ORDER);
    c30.intoMemorySegment(ALL, c + 3 * cRow, ORDER);
    c31.intoMemorySegment(ALL, c + 3 * cRow + BYTES, ORDER);
    c40.intoMemorySegment(ALL, c + 4 * cRow, ORDER);
    c41.intoMemorySegment(ALL, c + 4 * cRow + BYTES, ORDER);
    c50.intoMemorySegment(ALL, c + 5 * cRow, ORDER);
    c51.intoMemorySegment(ALL, c + 5 * cRow + BYTES, ORDER);
  }

  private static void tile1(
      long table,
      int segments,
      long aShift,
      long bShift,
      long aStep,
      long bStep,
      long c,
      long cRow) {
    FloatVector zero = FloatVector.zero(SPECIES);
    FloatVector c00 = zero;
    FloatVector c10 = zero;
    FloatVector c20 = zero;
    FloatVector c30 = zero;
    FloatVector c40 = zero;
    FloatVector c50 = zero;
    for (int s = 0; s < segments; s++) {
      long entry = table + s * ENTRY;
      long a0 = ALL.get(JAVA_LONG, entry) + aShift;
      long a1 = ALL.get(JAVA_LONG, entry + 8) + aShift;
      long a2 = ALL.get(JAVA_LONG, entry + 16) + aShift;
      long a3 = ALL.get(JAVA_LONG, entry + 24) + aShift;
      long a4 = ALL.get(JAVA_LONG, entry + 32) + aShift;
      long a5 = ALL.get(JAVA_LONG, entry + 40) + aShift;
      long b = ALL.get(JAVA_LONG, entry + 48) + bShift;
      int length = (int) ALL.get(JAVA_LONG, entry + 56);
      long at = 0;
      for (int k = 0; k < length; k++) {
        FloatVector b0 = fromMemorySegment(SPECIES, ALL, b, ORDER);
        FloatVector a = FloatVector.broadcast(SPECIES, ALL.get(JAVA_FLOAT_UNALIGNED, a0 + at));
        c00 = a.fma(b0, c00);
        a = FloatVector.broadcast(SPECIES, ALL.get(JAVA_FLOAT_UNALIGNED, a1 + at));
        c10 = a.fma(b0, c10);
        a = FloatVector.broadcast(SPECIES, ALL.get(JAVA_FLOAT_UNALIGNED, a2 + at));
        c20 = a.fma(b0, c20);
        a = FloatVector.broadcast(SPECIES, ALL.get(JAVA_FLOAT_UNALIGNED, a3 + at));
        c30 = a.fma(b0, c30);
        a = FloatVector.broadcast(SPECIES, ALL.get(JAVA_FLOAT_UNALIGNED, a4 + at));
        c40 = a.fma(b0, c40);
        a = FloatVector.broadcast(SPECIES, ALL.get(JAVA_FLOAT_UNALIGNED, a5 + at));
        c50 = a.fma(b0, c50);
        at += aStep;
        b += bStep;
      }
    }
    c00.intoMemorySegment(ALL, c, ORDER);
    c10.intoMemorySegment(ALL, c + cRow, ORDER);
    c20.intoMemorySegment(ALL, c + 2 * cRow, ORDER);
    c30.intoMemorySegment(ALL, c + 3 * cRow, ORDER);
    c40.intoMemorySegment(ALL, c + 4 * cRow, ORDER);
    c50.intoMemorySegment(ALL, c + 5 * cRow, ORDER);
  }
}
