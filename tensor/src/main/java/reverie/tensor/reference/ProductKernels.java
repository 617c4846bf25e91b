// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.reference;

import java.util.Arrays;
import reverie.tensor.Shape;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;

/** Matrix products and convolutions. */
final class ProductKernels {
  private ProductKernels() {}

  static void matmul(Array a, Array b, Array out) {
    int m = out.dim(-2);
    int n = out.dim(-1);
    int depth = a.dim(-1);
    Array batchesOfA = batches(a);
    Array batchesOfB = batches(b);
    Shape batches = batches(out).shape();
    for (long batch = 0; batch < batches.size(); batch++) {
      long firstA = batchesOfA.position(batches, batch);
      long firstB = batchesOfB.position(batches, batch);
      for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
          double sum = 0;
          for (int k = 0; k < depth; k++) {
            sum += a.get(firstA + (long) i * depth + k) * b.get(firstB + (long) k * n + j);
          }
          out.set((batch * m + i) * n + j, sum);
        }
      }
    }
  }

  /** What is left without the last two axes: its positions are those of the matrices. */
  private static Array batches(Array x) {
    int rank = x.shape().rank() - 2;
    Shape shape = Shape.of(Arrays.copyOf(x.shape().dims(), rank));
    return new Array(x.memory(), x.dtype(), shape, Arrays.copyOf(x.strides(), rank), x.offset());
  }

  static void conv2d(Conv2d op, Array[] in, Array y) {
    Array x = in[0];
    Array weight = in[1];
    int cout = y.dim(3);
    long image = (long) y.dim(1) * y.dim(2) * cout;
    for (long i = 0; i < y.size(); i++) {
      double bias = 0;
      if (in.length > 2) {
        bias = in[2].get(in[2].shape().rank() == 1 ? i % cout : i / image * cout + i % cout);
      }
      y.set(i, in.length > 3 ? bias + in[3].get(i) : bias);
    }
    eachTap(
        op,
        x,
        y,
        weight,
        (atX, atY, atWeight) -> y.set(atY, y.get(atY) + x.get(atX) * weight.get(atWeight)));
  }

  static void conv2dInputGradient(Conv2dInputGradient op, Array dy, Array weight, Array dx) {
    MoveKernels.fill(0, dx);
    Conv2d forward = new Conv2d(op.stride(), op.padding());
    eachTap(
        forward,
        dx,
        dy,
        weight,
        (atX, atY, atWeight) -> dx.set(atX, dx.get(atX) + dy.get(atY) * weight.get(atWeight)));
  }

  static void conv2dWeightGradient(Conv2dWeightGradient op, Array x, Array dy, Array dweight) {
    MoveKernels.fill(0, dweight);
    Conv2d forward = new Conv2d(op.stride(), op.padding());
    eachTap(
        forward,
        x,
        dy,
        dweight,
        (atX, atY, atWeight) ->
            dweight.set(atWeight, dweight.get(atWeight) + x.get(atX) * dy.get(atY)));
  }

  /** One product of a convolution: the elements of image, result and weight that meet. */
  private interface Tap {
    void meet(long atX, long atY, long atWeight);
  }

  /** The definition of a convolution and, read in other directions, of its gradients. */
  private static void eachTap(Conv2d op, Array x, Array y, Array weight, Tap tap) {
    int height = x.dim(1);
    int width = x.dim(2);
    int cin = x.dim(3);
    int cout = y.dim(3);
    for (int n = 0; n < y.dim(0); n++) {
      for (int oh = 0; oh < y.dim(1); oh++) {
        for (int ow = 0; ow < y.dim(2); ow++) {
          for (int kh = 0; kh < weight.dim(0); kh++) {
            for (int kw = 0; kw < weight.dim(1); kw++) {
              int h = oh * op.stride() + kh - op.padding();
              int w = ow * op.stride() + kw - op.padding();
              if (h < 0 || h >= height || w < 0 || w >= width) {
                continue;
              }
              long pixelX = ((long) n * height + h) * width + w;
              long pixelY = ((long) n * y.dim(1) + oh) * y.dim(2) + ow;
              long place = (long) kh * weight.dim(1) + kw;
              for (int i = 0; i < cin; i++) {
                for (int o = 0; o < cout; o++) {
                  tap.meet(pixelX * cin + i, pixelY * cout + o, (place * cin + i) * cout + o);
                }
              }
            }
          }
        }
      }
    }
  }
}
