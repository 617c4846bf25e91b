// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import reverie.tensor.cuda.driver.Driver;

/**
 * How threads share matrices so that neighbours read neighbouring columns: {@code columns.h}. The
 * rows of a matrix are cut into pieces when there would not be enough work for the device.
 *
 * @param matrices how many there are
 * @param rows of each
 * @param c columns of each
 * @param quads of four columns, that a tile of a row has
 * @param tiles of a row
 * @param lanes threads that share the rows of a quad
 * @param piece rows of a piece, the last of a matrix may have fewer
 * @param pieces of a matrix, none of them empty
 */
record Columns(
    long matrices, long rows, int c, int quads, int tiles, int lanes, long piece, int pieces) {
  /** Enough for whole lines of memory; more would leave fewer threads for each column. */
  private static final int MAX_QUADS = 16;

  /** Lines of memory are this wide. */
  private static final int MIN_QUADS = 8;

  /** Elements of a tile that stay in a multiprocessor's cache. */
  private static final long MAX_AT_ONCE = 1 << 15;

  /** Rows that a lane has at least, if there are as many. */
  private static final int MIN_ROWS = 4;

  /** Rows that a lane has at least before a matrix is cut into pieces. */
  private static final int ROWS_OF_A_PIECE = 16;

  /** Cuts matrices into pieces until a device is full. */
  static Columns of(Kernels kernels, long matrices, long rows, int c) {
    return of(matrices, rows, c, fullDevice(kernels));
  }

  /** Leaves matrices as they are. */
  static Columns whole(long matrices, long rows, int c) {
    return of(matrices, rows, c, 1);
  }

  /** As many blocks as a device runs at the same time. */
  static long fullDevice(Kernels kernels) {
    return kernels.blocks(1L << 40) / 4;
  }

  /**
   * Leaves matrices as they are, in tiles of whole groups of so many columns.
   *
   * @return null if a tile has more elements than a block goes through quickly
   */
  static Columns ofGroups(long matrices, long rows, int c, int width) {
    if (c == 0) {
      return null;
    }
    // Groups begin where quads do once in lcm(width, 4) columns.
    int quads = width % 4 == 0 ? width / 4 : width % 2 == 0 ? width / 2 : width;
    quads *= (MIN_QUADS + quads - 1) / quads;
    quads = Math.min(quads, (c + 3) / 4);
    return quads > Driver.THREADS || 4 * quads * rows > MAX_AT_ONCE
        ? null
        : tiled(matrices, rows, c, quads);
  }

  private static Columns tiled(long matrices, long rows, int c, int quads) {
    int tiles = ((c + 3) / 4 + quads - 1) / quads;
    long useful = Math.max(1, (rows + MIN_ROWS - 1) / MIN_ROWS);
    int lanes = (int) Math.min(Driver.THREADS / quads, useful);
    return new Columns(matrices, rows, c, quads, tiles, lanes, rows, 1);
  }

  private static Columns of(long matrices, long rows, int c, long blocks) {
    int all = Math.max(1, (c + 3) / 4);
    int tiles = (all + MAX_QUADS - 1) / MAX_QUADS;
    Columns whole = tiled(matrices, rows, c, (all + tiles - 1) / tiles);
    long most = rows / ((long) whole.lanes * ROWS_OF_A_PIECE);
    long wanted = Math.min(most, blocks / Math.max(1, whole.blocks()));
    if (wanted <= 1) {
      return whole;
    }
    long piece = (rows + wanted - 1) / wanted;
    int pieces = Math.toIntExact((rows + piece - 1) / piece);
    return new Columns(matrices, rows, c, whole.quads, whole.tiles, whole.lanes, piece, pieces);
  }

  /** Pieces of all matrices. */
  long parts() {
    return matrices * pieces;
  }

  long blocks() {
    int slots = Driver.THREADS / (quads * lanes);
    return c == 0 ? 0 : (parts() * tiles + slots - 1) / slots;
  }

  /** Adds the struct; all matrices that are read or written with it begin at these addresses. */
  Arguments add(Arguments arguments, long... addresses) {
    boolean aligned = c % 4 == 0;
    for (long address : addresses) {
      aligned &= address % 16 == 0;
    }
    return add(arguments, aligned);
  }

  /** The same, where it is known whether four columns can be read at once. */
  Arguments add(Arguments arguments, boolean aligned) {
    arguments.int64(matrices).int64(rows).int64(piece);
    arguments.int32(c).int32(quads).int32(tiles).int32(lanes).int32(pieces);
    return arguments.int32(aligned ? 1 : 0);
  }

  /**
   * The sum or the largest of each column of each piece of x[matrices, rows, c].
   *
   * @param kind "sum" or "max"
   * @param to [pieces, c] for each matrix
   * @param next where the results of the second matrix go
   */
  void reduce(Kernels kernels, String kind, long from, long to, long next) {
    Arguments arguments = new Arguments().read(from, 4 * matrices * rows * c);
    arguments.write(to, 4 * parts() * c).int64((next - to) / 4);
    kernels.launch(kind + "_columns", blocks(), add(arguments, from));
  }
}
