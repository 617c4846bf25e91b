// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

/** Split bfloat16: how many bfloat16 terms a float is the sum of, for products on the tile unit. */
enum Precision {
  /** rms error 4.4e-6 of the result, half as many products: for linear layers and gradients. */
  BF16X2(2, 32, 128 * 32),
  /** As exact as float32: for convolutions, whose errors nothing dilutes, and plain products. */
  BF16X3(3, 64, 64 * 64);

  /** Rows and columns of a block of the result, steps of k in a tile. */
  static final int BLOCK = 32;

  private final int terms;
  private final int minSide;
  private final long minArea;

  Precision(int terms, int minSide, long minArea) {
    this.terms = terms;
    this.minSide = minSide;
    this.minArea = minArea;
  }

  int terms() {
    return terms;
  }

  /** Narrower matrices than this are not worth the splitting. */
  int minSide() {
    return minSide;
  }

  /** Results of fewer numbers than this are not worth the splitting. */
  long minArea() {
    return minArea;
  }

  /** Bytes of k times n numbers in tiles. */
  long bytes(long k, long n) {
    return 2L * terms * up(k) * up(n);
  }

  private static long up(long count) {
    return (count + BLOCK - 1) / BLOCK * BLOCK;
  }
}
