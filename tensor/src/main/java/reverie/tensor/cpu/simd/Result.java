// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.simd.Vectors.BYTES;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;
import static reverie.tensor.cpu.simd.Vectors.load;
import static reverie.tensor.cpu.simd.Vectors.mask;
import static reverie.tensor.cpu.simd.Vectors.store;

import jdk.incubator.vector.VectorMask;

/**
 * Where C goes: m rows of n neighbouring columns, and what is added to every row.
 *
 * @param address first element
 * @param rowBytes bytes between rows
 * @param bias address of n numbers, or 0
 */
record Result(long address, long rowBytes, long bias, int m, int n) {
  int tiles() {
    return (m + MicroKernel.ROWS - 1) / MicroKernel.ROWS;
  }

  /**
   * First row of a tile. The last tile overlaps the one before instead of reaching past the end.
   */
  int firstRow(int tile) {
    return Math.min(tile * MicroKernel.ROWS, Math.max(0, m - MicroKernel.ROWS));
  }

  /**
   * Multiplies and writes a block of tiles.
   *
   * @param spare room for one tile
   */
  void compute(
      Left left,
      Right right,
      int firstTile,
      int endTile,
      int firstPanel,
      int endPanel,
      long spare) {
    for (int group = 0; group < left.entries(); group += left.group()) {
      int segments = Math.min(left.group(), left.entries() - group);
      for (int panel = firstPanel; panel < endPanel; panel++) {
        int column = panel * MicroKernel.COLUMNS;
        int columns = Math.min(MicroKernel.COLUMNS, n - column);
        int vectors = columns > WIDTH ? 2 : 1;
        boolean whole =
            columns == vectors * WIDTH
                && left.entries() <= left.group()
                && bias == 0
                && m >= MicroKernel.ROWS;
        for (int tile = firstTile; tile < endTile; tile++) {
          int row = firstRow(tile);
          int skip = tile * MicroKernel.ROWS - row;
          long table =
              left.table() + (tile - firstTile) * left.tableStride() + group * MicroKernel.ENTRY;
          long shift = row * left.rowBytes();
          long bShift = right.address() + panel * right.panelStride();
          if (whole && skip == 0) {
            MicroKernel.multiply(
                vectors,
                table,
                segments,
                shift,
                bShift,
                left.step(),
                right.step(),
                at(row, column),
                rowBytes);
          } else {
            MicroKernel.multiply(
                vectors,
                table,
                segments,
                shift,
                bShift,
                left.step(),
                right.step(),
                spare,
                2 * BYTES);
            for (int r = skip; r < Math.min(MicroKernel.ROWS, m); r++) {
              finish(spare + r * 2 * BYTES, at(row + r, column), columns, group == 0, 4L * column);
            }
          }
        }
      }
    }
  }

  private long at(int row, int column) {
    return address + row * rowBytes + 4L * column;
  }

  private void finish(long from, long to, int columns, boolean first, long biasOffset) {
    long add = first ? bias + biasOffset : to;
    boolean adds = !first || bias != 0;
    int i = 0;
    for (; i <= columns - WIDTH; i += WIDTH) {
      long at = 4L * i;
      if (adds) {
        store(load(from + at).add(load(add + at)), to + at);
      } else {
        store(load(from + at), to + at);
      }
    }
    if (i < columns) {
      VectorMask<Float> rest = mask(i, columns);
      long at = 4L * i;
      if (adds) {
        store(load(from + at, rest).add(load(add + at, rest)), to + at, rest);
      } else {
        store(load(from + at, rest), to + at, rest);
      }
    }
  }
}
