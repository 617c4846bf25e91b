// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Scratch;

/**
 * Where the rows of A lie: a table of segments as {@link MicroKernel} reads it, for each tile of
 * rows or one for all.
 *
 * @param table address of the first entry
 * @param tableStride bytes between the tables of two tiles, 0 if they share one
 * @param entries segments of the whole sum
 * @param group segments that are summed before C is touched; what they read of B should stay in the
 *     first-level cache
 * @param rowBytes bytes between two rows of A, where tiles share a table; otherwise 0
 * @param step bytes between neighbours along the sum
 */
record Left(long table, long tableStride, int entries, int group, long rowBytes, long step) {
  /** Length of the sum that one group should cover. */
  static final int DEPTH = 256;

  /**
   * How deep a group of short segments may get: nine taps of 32 channels in one, and its panel of B
   * in the first-level cache.
   */
  static final int MAX_DEPTH = 320;

  /** A plain matrix of m rows: one segment for each {@link #DEPTH} of the sum. */
  static Left matrix(
      Scratch scratch, long address, long rowBytes, long step, int m, int k, long bStep) {
    int entries = Math.max(1, (k + DEPTH - 1) / DEPTH);
    long table = scratch.bytes(entries * MicroKernel.ENTRY);
    for (int e = 0; e < entries; e++) {
      long entry = table + e * MicroKernel.ENTRY;
      for (int r = 0; r < MicroKernel.ROWS; r++) {
        Memory.setLong(
            entry + 8 * r, address + Math.min(r, m - 1) * rowBytes + (long) e * DEPTH * step);
      }
      finish(entry, (long) e * DEPTH * bStep, Math.min(DEPTH, k - e * DEPTH));
    }
    return new Left(table, 0, entries, 1, rowBytes, step);
  }

  /**
   * Writes the end of an entry: where B begins, relative to its panel, and the segment's length.
   */
  static void finish(long entry, long bOffset, int length) {
    Memory.setLong(entry + 48, bOffset);
    Memory.setLong(entry + 56, length);
  }
}
