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
public record Result(long address, long rowBytes, long bias, int m, int n) {
  public int tiles() {
    return (m + Tile.ROWS - 1) / Tile.ROWS;
  }

  /**
   * First row of a tile. The last tile overlaps the one before instead of reaching past the end.
   */
  public int firstRow(int tile) {
    return Math.min(tile * Tile.ROWS, Math.max(0, m - Tile.ROWS));
  }

  /**
   * Multiplies and writes a block of tiles.
   *
   * @param spare room for one tile
   */
  public void compute(
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
        int column = panel * Tile.COLUMNS;
        int columns = Math.min(Tile.COLUMNS, n - column);
        int vectors = columns > WIDTH ? 2 : 1;
        boolean whole =
            columns == vectors * WIDTH
                && left.entries() <= left.group()
                && bias == 0
                && m >= Tile.ROWS;
        for (int tile = firstTile; tile < endTile; tile++) {
          int row = firstRow(tile);
          int skip = tile * Tile.ROWS - row;
          long table = left.table() + (tile - firstTile) * left.tableStride() + group * Tile.ENTRY;
          long shift = row * left.rowBytes();
          long bShift = right.address() + panel * right.panelStride();
          if (whole && skip == 0) {
            Tile.multiply(
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
            Tile.multiply(
                vectors,
                table,
                segments,
                shift,
                bShift,
                left.step(),
                right.step(),
                spare,
                2 * BYTES);
            for (int r = skip; r < Math.min(Tile.ROWS, m); r++) {
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
