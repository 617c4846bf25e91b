// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

import static reverie.tensor.catalog.Input.indices;
import static reverie.tensor.catalog.Input.normal;

import reverie.tensor.catalog.Tolerance.Largest;
import reverie.tensor.catalog.Tolerance.Terms;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.FeedForwardBackward;
import reverie.tensor.op.Linear;
import reverie.tensor.op.LinearGradients;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;

/** Samples of matrix products, layers made of them, and convolutions. */
final class ProductSamples {
  /** Image {n, h, w, cin}, kernel {kh, kw, cout}, {stride, padding}. */
  private static final int[][][] CONVOLUTIONS = {
    {{1, 1, 1, 1}, {1, 1, 1}, {1, 0}},
    {{2, 5, 7, 3}, {3, 3, 5}, {1, 1}},
    {{1, 7, 5, 3}, {3, 3, 2}, {2, 1}},
    {{1, 6, 6, 2}, {3, 3, 3}, {2, 1}},
    {{2, 5, 3, 4}, {1, 1, 7}, {1, 0}},
    {{1, 4, 5, 1}, {2, 3, 1}, {1, 0}},
    {{1, 7, 7, 2}, {5, 5, 3}, {3, 2}},
    {{0, 5, 5, 3}, {3, 3, 2}, {1, 1}},
    {{1, 2, 3, 0}, {1, 1, 2}, {1, 0}},
    {{1, 2, 3, 2}, {3, 3, 4}, {1, 2}}
  };

  private static final int[][][] LARGE_CONVOLUTIONS = {
    {{3, 17, 13, 19}, {3, 3, 37}, {1, 1}},
    {{2, 16, 16, 32}, {3, 3, 32}, {2, 1}},
    {{2, 9, 11, 65}, {1, 1, 33}, {1, 0}}
  };

  /**
   * Large enough for the tile unit and for Winograd's algorithm, whose rounding errors follow the
   * largest sums of a tile, not those of the element.
   */
  private static final int[][][] TILED_CONVOLUTIONS = {
    {{1, 9, 10, 67}, {3, 3, 70}, {1, 0}},
    {{2, 7, 13, 40}, {3, 3, 24}, {1, 2}},
    {{5, 8, 8, 64}, {3, 3, 96}, {1, 1}},
    {{3, 8, 8, 128}, {3, 3, 40}, {1, 1}}
  };

  private static final Tolerance TILED = new Largest(5e-6);

  /** Factors of gradients may be cut to two bfloat16 numbers, 16 bits. */
  private static final Tolerance TILED_GRADIENT = new Largest(5e-5);

  private ProductSamples() {}

  static Entry matmul() {
    Op op = new MatMul();
    int[][][] pairs = {
      {{1, 1}, {1, 1}},
      {{3, 5}, {5, 2}},
      {{1, 7}, {7, 1}},
      {{7, 1}, {1, 3}},
      {{2, 3, 5}, {2, 5, 4}},
      {{2, 3, 5}, {5, 4}},
      {{3, 5}, {2, 5, 4}},
      {{2, 1, 3, 4}, {1, 3, 4, 2}},
      {{0, 3}, {3, 2}},
      {{3, 2}, {2, 0}},
      {{0, 3, 2}, {2, 2}}
    };
    Entry entry = new Entry();
    for (int[][] pair : pairs) {
      entry
          .within(new Terms(pair[0][pair[0].length - 1]))
          .smooth(op, normal(pair[0]), normal(pair[1]));
    }
    return entry
        .within(new Terms(0))
        .smooth(op, normal(2, 0), normal(0, 3))
        .within(new Terms(129))
        .rough(op, normal(67, 129), normal(129, 71))
        .rough(op, normal(3, 31, 129), normal(3, 129, 65))
        .rough(op, normal(1, 129), normal(129, 257))
        .within(new Terms(701))
        .rough(op, normal(5, 701), normal(701, 3))
        // Long enough for several pieces of the sum, tall enough for several blocks of rows.
        .within(new Terms(2049))
        .rough(op, normal(40, 2049), normal(2049, 48))
        .within(new Terms(64))
        .rough(op, normal(523, 64), normal(64, 160))
        .within(new Largest(5e-5))
        .rough(new MatMul(true), normal(517, 131), normal(131, 161))
        .rough(new MatMul(true), normal(150, 1100), normal(1100, 130))
        .refuse("expected […, m, k] and […, k, n] with the same k", op, normal(3, 5), normal(3, 5))
        .refuse(
            "expected shapes that broadcast, got [2] and [3]", op, normal(2, 3, 5), normal(3, 5, 3))
        .refuse("expected input 0 of rank 2 or more", op, normal(5), normal(5, 3))
        .refuse("expected inputs of one floating-point type", op, normal(3, 5), indices(2, 5, 3));
  }

  static Entry linear() {
    Op op = new Linear();
    Entry entry = new Entry().within(new Terms(20));
    int[][] inputs = {{5}, {1, 5}, {3, 5}, {2, 3, 5}, {0, 5}, {2, 0, 5}};
    for (int[] dims : inputs) {
      entry
          .smooth(op, normal(dims), normal(7, 5), normal(7))
          .smooth(op, normal(dims), normal(1, 5));
      int[] y = dims.clone();
      y[y.length - 1] = 7;
      entry.smooth(op, normal(dims), normal(7, 5), normal(7), normal(y));
    }
    return entry
        .smooth(op, normal(3, 5), normal(8, 5), normal(8))
        .smooth(op, normal(3, 5), normal(8, 5), normal(8), normal(3, 8))
        .smooth(op, normal(3, 0), normal(2, 0), normal(2))
        .within(new Terms(131))
        .rough(op, normal(37, 131), normal(129, 131), normal(129))
        .rough(op, normal(2, 61, 131), normal(33, 131))
        .rough(op, normal(259, 130), normal(96, 130), normal(96), normal(259, 96))
        // Long enough for several passes over k, of which one adds bias and residual.
        .within(new Terms(1031))
        .rough(op, normal(35, 1030), normal(40, 1030), normal(40))
        .rough(op, normal(35, 1030), normal(40, 1030), normal(40), normal(35, 40))
        .refuse("expected weight (input 1) of shape [2, 5]", op, normal(3, 5), normal(2, 4))
        .refuse("expected bias (input 2) of shape [2]", op, normal(3, 5), normal(2, 5), normal(3))
        .refuse("expected 2 to 4 inputs", op, normal(3, 5))
        .refuse(
            "expected residual (input 3) of shape [3, 2]",
            op,
            normal(3, 5),
            normal(2, 5),
            normal(2),
            normal(3, 5))
        .refuse("expected input 1 of rank 2", op, normal(3, 5), normal(5));
  }

  static Entry feedForward() {
    Op op = new FeedForward();
    return new Entry()
        .within(new Terms(40))
        .smooth(op, feedForward(6, 4, 5))
        .smooth(op, feedForward(6, 4, 2, 3, 5))
        .smooth(op, feedForward(6, 4, 3, 5))
        .smooth(op, feedForward(6, 4, 0, 5))
        .smooth(op, feedForward(6, 4, 3, 0))
        .within(new Terms(200))
        .rough(op, feedForward(130, 37, 37, 131))
        .rough(op, feedForward(192, 64, 2, 301, 64))
        .refuse("expected 6 inputs", op, normal(3, 5), normal(6, 5))
        .refuse("expected an up (input 1) of 2c rows", op, feedForward(7, 4, 3, 5))
        .refuse(
            "expected down (input 3) of shape [4, 3]",
            op,
            normal(3, 5),
            normal(6, 5),
            normal(6),
            normal(4, 5),
            normal(4),
            normal(3, 4));
  }

  /** Inputs for so many columns between and after. */
  private static Input[] feedForward(int wide, int out, int... x) {
    int in = x[x.length - 1];
    return new Input[] {
      normal(x),
      normal(wide, in),
      normal(wide),
      normal(out, wide / 2),
      normal(out),
      normal(with(out, x))
    };
  }

  static Entry linearGradients() {
    Op op = new LinearGradients();
    Entry entry = new Entry();
    int[][] sizes = {{1, 1, 1}, {5, 3, 2}, {9, 8, 4}, {0, 3, 2}, {3, 0, 2}, {3, 2, 0}};
    for (int[] size : sizes) {
      entry
          .within(new Terms(size[0]))
          .smooth(op, normal(size[0], size[1]), normal(size[0], size[2]));
    }
    return entry
        .within(new Largest(5e-5))
        .rough(op, normal(301, 37), normal(301, 130))
        .rough(op, normal(128, 64), normal(128, 96))
        .refuse("with the same n", op, normal(3, 5), normal(4, 5));
  }

  static Entry feedForwardBackward() {
    Op op = new FeedForwardBackward();
    Entry entry = new Entry().within(new Terms(40));
    int[][] inputs = {{5}, {2, 3, 5}, {0, 5}, {3, 0}};
    for (int[] dims : inputs) {
      entry.smooth(op, feedForwardBackward(6, 4, dims));
    }
    return entry
        .within(new Largest(5e-5))
        .rough(op, feedForwardBackward(130, 37, 37, 131))
        .rough(op, feedForwardBackward(192, 64, 2, 301, 64))
        .refuse("expected 5 inputs", op, normal(3, 5), normal(6, 5));
  }

  private static Input[] feedForwardBackward(int wide, int out, int... x) {
    int in = x[x.length - 1];
    return new Input[] {
      normal(x), normal(wide, in), normal(wide), normal(out, wide / 2), normal(with(out, x))
    };
  }

  private static int[] with(int last, int... dims) {
    int[] out = dims.clone();
    out[out.length - 1] = last;
    return out;
  }

  static Entry conv2d() {
    Entry entry = new Entry();
    for (int[][] c : CONVOLUTIONS) {
      Op op = new Conv2d(c[2][0], c[2][1]);
      entry
          .within(new Terms(taps(c) + 1))
          .smooth(op, x(c), weight(c), normal(c[1][2]))
          .smooth(op, x(c), weight(c), normal(c[0][0], c[1][2]), dy(c))
          .smooth(op, x(c), weight(c));
    }
    for (int[][] c : LARGE_CONVOLUTIONS) {
      Op op = new Conv2d(c[2][0], c[2][1]);
      entry.within(new Terms(taps(c) + 1)).rough(op, x(c), weight(c), normal(c[1][2]));
      entry.rough(op, x(c), weight(c), normal(c[0][0], c[1][2]), dy(c));
    }
    for (int[][] c : TILED_CONVOLUTIONS) {
      Op op = new Conv2d(c[2][0], c[2][1]);
      entry.within(TILED).rough(op, x(c), weight(c), normal(c[1][2]));
    }
    Op op = new Conv2d(1, 0);
    return entry
        .refuse("with the same cin", op, normal(1, 5, 5, 3), normal(3, 3, 4, 2))
        .refuse(
            "a kernel no larger than the padded image", op, normal(1, 2, 5, 3), normal(3, 3, 3, 2))
        .refuse(
            "expected bias (input 2) of shape [2]",
            op,
            normal(1, 5, 5, 3),
            normal(3, 3, 3, 2),
            normal(3))
        .refuse(
            "expected bias (input 2) of shape [1, 2]",
            op,
            normal(1, 5, 5, 3),
            normal(3, 3, 3, 2),
            normal(2, 2))
        .refuse(
            "expected residual (input 3) of shape [1, 3, 3, 2]",
            op,
            normal(1, 5, 5, 3),
            normal(3, 3, 3, 2),
            normal(2),
            normal(1, 5, 5, 2))
        .refuse("expected input 0 of rank 4", op, normal(5, 5, 3), normal(3, 3, 3, 2))
        .refuseMaking("expected stride ≥ 1 and padding ≥ 0, got 0 and 1", () -> new Conv2d(0, 1));
  }

  static Entry conv2dInputGradient() {
    Entry entry = new Entry();
    for (int[][] c : CONVOLUTIONS) {
      Op op = new Conv2dInputGradient(c[2][0], c[2][1], c[0][1], c[0][2]);
      entry.within(new Terms(c[1][0] * c[1][1] * c[1][2])).smooth(op, dy(c), weight(c));
    }
    for (int[][] c : LARGE_CONVOLUTIONS) {
      Op op = new Conv2dInputGradient(c[2][0], c[2][1], c[0][1], c[0][2]);
      entry.within(new Terms(c[1][0] * c[1][1] * c[1][2])).rough(op, dy(c), weight(c));
    }
    for (int[][] c : TILED_CONVOLUTIONS) {
      Op op = new Conv2dInputGradient(c[2][0], c[2][1], c[0][1], c[0][2]);
      entry.within(TILED_GRADIENT).rough(op, dy(c), weight(c));
    }
    return entry
        .refuse(
            "expected dy (input 0) of shape [1, 3, 3, 2]",
            new Conv2dInputGradient(1, 0, 5, 5),
            normal(1, 4, 3, 2),
            normal(3, 3, 3, 2))
        .refuse(
            "expected input 1 of rank 4",
            new Conv2dInputGradient(1, 0, 5, 5),
            normal(1, 3, 3, 2),
            normal(3, 3));
  }

  static Entry conv2dWeightGradient() {
    Entry entry = new Entry();
    for (int[][] c : CONVOLUTIONS) {
      Op op = new Conv2dWeightGradient(c[2][0], c[2][1], c[1][0], c[1][1]);
      entry.within(new Terms(pixels(c))).smooth(op, x(c), dy(c));
    }
    for (int[][] c : LARGE_CONVOLUTIONS) {
      Op op = new Conv2dWeightGradient(c[2][0], c[2][1], c[1][0], c[1][1]);
      entry.within(new Terms(pixels(c))).rough(op, x(c), dy(c));
    }
    for (int[][] c : TILED_CONVOLUTIONS) {
      Op op = new Conv2dWeightGradient(c[2][0], c[2][1], c[1][0], c[1][1]);
      entry.within(TILED_GRADIENT).rough(op, x(c), dy(c));
    }
    return entry
        .refuse(
            "expected dy (input 1) of shape [1, 3, 3, 2]",
            new Conv2dWeightGradient(1, 0, 3, 3),
            normal(1, 5, 5, 3),
            normal(1, 4, 3, 2))
        .refuse(
            "expected input 0 of rank 4",
            new Conv2dWeightGradient(1, 0, 3, 3),
            normal(5),
            normal(1, 3, 3, 2));
  }

  private static Input x(int[][] c) {
    return normal(c[0]);
  }

  private static Input weight(int[][] c) {
    return normal(c[1][0], c[1][1], c[0][3], c[1][2]);
  }

  private static Input dy(int[][] c) {
    Conv2d op = new Conv2d(c[2][0], c[2][1]);
    return normal(
        c[0][0], op.outputSize(c[0][1], c[1][0]), op.outputSize(c[0][2], c[1][1]), c[1][2]);
  }

  private static int taps(int[][] c) {
    return c[1][0] * c[1][1] * c[0][3];
  }

  private static int pixels(int[][] c) {
    Conv2d op = new Conv2d(c[2][0], c[2][1]);
    return c[0][0] * op.outputSize(c[0][1], c[1][0]) * op.outputSize(c[0][2], c[1][1]);
  }
}
