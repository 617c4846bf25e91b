// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.reference;

import reverie.tensor.Philox;
import reverie.tensor.op.Pad;
import reverie.tensor.op.RandomNormal;
import reverie.tensor.op.Reduce;
import reverie.tensor.op.Widen;

/** Operations that make, move, gather and add up elements. */
final class MoveKernels {
  private MoveKernels() {}

  static void fill(double value, Array out) {
    for (long i = 0; i < out.size(); i++) {
      out.set(i, value);
    }
  }

  static void copy(Array x, Array out) {
    for (long i = 0; i < out.size(); i++) {
      out.set(i, x.get(x.position(out.shape(), i)));
    }
  }

  static void concat(int axis, Array[] parts, Array out) {
    long inner = inner(out, axis);
    long outer = outer(out, axis);
    long start = 0;
    for (Array part : parts) {
      long block = part.dim(axis) * inner;
      for (long o = 0; o < outer; o++) {
        for (long i = 0; i < block; i++) {
          out.set(o * out.dim(axis) * inner + start + i, part.get(o * block + i));
        }
      }
      start += block;
    }
  }

  static void pad(Pad op, Array x, Array out) {
    fill(0, out);
    long inner = inner(x, op.axis());
    long block = x.dim(op.axis()) * inner;
    for (long o = 0; o < outer(x, op.axis()); o++) {
      for (long i = 0; i < block; i++) {
        out.set((o * out.dim(op.axis()) + op.before()) * inner + i, x.get(o * block + i));
      }
    }
  }

  static void reduce(Reduce op, Array x, Array out) {
    boolean max = op.kind() == Reduce.Kind.MAX;
    fill(max ? Double.NEGATIVE_INFINITY : 0, out);
    for (long i = 0; i < x.size(); i++) {
      long to = out.position(x.shape(), i);
      double so = out.get(to);
      out.set(to, max ? Math.max(so, x.get(i)) : so + x.get(i));
    }
  }

  static void widen(Widen op, Array words, Array out) {
    for (long i = 0; i < out.size(); i++) {
      out.set(i, op.value((int) words.get(i / 2) >>> 16 * (int) (i % 2)));
    }
  }

  static void embedding(Array table, Array indices, Array out) {
    int d = table.dim(1);
    for (long i = 0; i < indices.size(); i++) {
      long row = (long) indices.get(i);
      boolean inside = row >= 0 && row < table.dim(0);
      for (int j = 0; j < d; j++) {
        out.set(i * d + j, inside ? table.get(row * d + j) : Double.NaN);
      }
    }
  }

  static void scatterRows(Array dy, Array indices, Array out) {
    fill(0, out);
    int d = out.dim(1);
    for (long i = 0; i < indices.size(); i++) {
      long row = (long) indices.get(i);
      if (row >= 0 && row < out.dim(0)) {
        for (int j = 0; j < d; j++) {
          out.set(row * d + j, out.get(row * d + j) + dy.get(i * d + j));
        }
      }
    }
  }

  static void randomNormal(RandomNormal op, Array out) {
    int[] words = new int[4];
    int rows = out.dim(0);
    long length = rows == 0 ? 0 : out.size() / rows;
    for (int row = 0; row < rows; row++) {
      for (long i = 0; i < length; i++) {
        Philox.block(op.seeds()[row], op.streams()[row], i / 4, words);
        int pair = (int) (i % 4) / 2;
        double radius = Math.sqrt(-2 * StrictMath.log(Philox.uniform(words[2 * pair])));
        double angle = 2 * Math.PI * Philox.uniform(words[2 * pair + 1]);
        out.set(
            row * length + i,
            radius * (i % 2 == 0 ? StrictMath.cos(angle) : StrictMath.sin(angle)));
      }
    }
  }

  private static long outer(Array x, int axis) {
    long outer = 1;
    for (int i = 0; i < axis; i++) {
      outer *= x.dim(i);
    }
    return outer;
  }

  private static long inner(Array x, int axis) {
    long inner = 1;
    for (int i = axis + 1; i < x.shape().rank(); i++) {
      inner *= x.dim(i);
    }
    return inner;
  }
}
