// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

/** Decides whether a strided tensor can be seen in another shape without copying. */
final class Strides {
  private Strides() {}

  static boolean contiguous(Shape shape, int[] strides) {
    long expected = 1;
    for (int i = strides.length - 1; i >= 0; i--) {
      int dim = shape.dim(i);
      if (dim != 1 && strides[i] != expected) {
        return shape.size() == 0;
      }
      expected *= dim;
    }
    return true;
  }

  /** Strides of the same elements in {@code target}, or null if they need a copy. */
  static int[] reshape(Tensor x, Shape target) {
    int[] out = new int[target.rank()];
    int from = 0;
    int to = 0;
    while (from < x.shape().rank() && to < target.rank()) {
      int fromEnd = from + 1;
      int toEnd = to + 1;
      long a = x.dim(from);
      long b = target.dim(to);
      while (a != b) {
        if (a < b) {
          if (fromEnd == x.shape().rank()) {
            return null;
          }
          a *= x.dim(fromEnd++);
        } else {
          if (toEnd == target.rank()) {
            return null;
          }
          b *= target.dim(toEnd++);
        }
      }
      for (int i = from; i < fromEnd - 1; i++) {
        if (x.stride(i) != x.stride(i + 1) * x.dim(i + 1)) {
          return null;
        }
      }
      int stride = x.stride(fromEnd - 1);
      for (int i = toEnd - 1; i >= to; i--) {
        out[i] = stride;
        stride *= target.dim(i);
      }
      from = fromEnd;
      to = toEnd;
    }
    for (int i = from; i < x.shape().rank(); i++) {
      if (x.dim(i) != 1) {
        return null;
      }
    }
    for (int i = to; i < target.rank(); i++) {
      out[i] = 1;
    }
    return out;
  }
}
