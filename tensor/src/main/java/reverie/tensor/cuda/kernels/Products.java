// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import java.util.List;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Blas;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.op.Linear;
import reverie.tensor.op.LinearGradients;
import reverie.tensor.op.MatMul;

/**
 * Matrix products and linear layers by cuBLAS, which sees row-major matrices transposed. In
 * bfloat16 mode layers take and give bfloat16, whatever their input and result are kept as, and
 * what completes them widens: so a layer gives the same bits wherever it is. Layers that give
 * float32 are completed on the way.
 */
final class Products {
  private final Blas blas;
  private final Rehearsal rehearsal;
  private final Elements elements;
  private final Staging staging;
  private final PreparedWeights weights;
  private final Precision precision;

  Products(
      Blas blas,
      Rehearsal rehearsal,
      Elements elements,
      Staging staging,
      PreparedWeights weights,
      Precision precision) {
    this.blas = blas;
    this.rehearsal = rehearsal;
    this.elements = elements;
    this.staging = staging;
    this.weights = weights;
    this.precision = precision;
  }

  /**
   * A matrix.
   *
   * @param half whether elements are bfloat16, else float32
   * @param transposed whether its columns are contiguous, else its rows are
   * @param leading elements from one row, or column, to the next
   */
  record Rows(long address, boolean half, boolean transposed, int leading) {
    static Rows contiguous(long address, boolean half, int columns) {
      return new Rows(address, half, false, columns);
    }

    Numbers numbers() {
      return new Numbers(address, half);
    }

    Rows flipped() {
      return new Rows(address, half, !transposed, leading);
    }

    private Blas.Matrix columns(long stride) {
      return new Blas.Matrix(address, half, transposed, Math.max(1, leading), stride);
    }
  }

  /** y[m, n] = a[m, k]·b[k, n]. */
  void multiply(Rows a, Rows b, Rows y, int m, int n, int k) {
    multiply(a, 0, b, 0, y, m, n, k, 1);
  }

  boolean inHalves() {
    return precision == Precision.BF16;
  }

  /** What distinguishes two calls of cuBLAS's that may use different kernels. */
  private record Kind(Blas.Matrix a, Blas.Matrix b, boolean half, int m, int n, int k, int batch) {
    Kind {
      a = new Blas.Matrix(0, a.half(), a.transposed(), a.leading(), a.stride());
      b = new Blas.Matrix(0, b.half(), b.transposed(), b.leading(), b.stride());
    }
  }

  private void multiply(
      Rows a, long aStride, Rows b, long bStride, Rows y, int m, int n, int k, int batch) {
    Blas.Matrix first = b.columns(bStride);
    Blas.Matrix second = a.columns(aStride);
    long size = (long) m * n;
    rehearsal.call(
        new Kind(first, second, y.half, n, m, k, batch),
        4 * size * batch,
        y.address,
        to -> {
          Blas.Matrix result = new Blas.Matrix(to, y.half, false, n, size);
          blas.multiply(first, second, result, n, m, k, batch, precision);
        });
  }

  /**
   * The same with bias and residual, which are the inputs from one on as far as there are any:
   * added on the way where that can be, else to be added.
   */
  Sum multiply(Rows a, Rows b, Rows y, int m, int n, int k, Tensor[] inputs, int from) {
    Sum sum = Sum.of(y.numbers(), inputs, from);
    Blas.Product product =
        new Blas.Product(Blas.Extra.BIAS, a.half, b.transposed, a.transposed, n, m, k, precision);
    if (y.half || !hasOneBias(inputs, from) || !sum.isAligned(n) || !blas.does(product)) {
      multiply(a, b, y, m, n, k);
      return sum;
    }
    long residual = sum.residual() == null ? 0 : sum.residual().address();
    rehearsal.call(
        List.of(product, residual == 0),
        4L * m * n,
        y.address,
        to ->
            blas.multiply(
                product, new Blas.Operands(b.address, a.address, to, sum.bias(), residual)));
    return Sum.of(y.numbers());
  }

  /** Not of an image's own either, to which something may be added yet ({@link Repetition}). */
  private static boolean hasOneBias(Tensor[] inputs, int bias) {
    return inputs.length > bias && inputs[bias].shape().rank() == 1;
  }

  /** x·weightᵀ + bias + residual, as far as it is not to be completed. */
  Sum linear(Tensor[] inputs, Tensor y, Space scratch) {
    if (y.size() == 0) {
      return Sum.of(Numbers.of(y));
    }
    Rows to = result(y, scratch);
    return layer(factor(inputs[0], scratch), inputs, 1, to, rows(inputs[1], y), scratch);
  }

  /** Layers of the same input, whose weights and biases lie prepared one after another. */
  Sum joined(JoinedLayers layers, Tensor[] inputs, Tensor y, Space scratch) {
    Tensor x = inputs[0];
    int in = x.dim(-1);
    int out = y.dim(-1);
    int rows = Math.toIntExact(y.size() / out);
    Rows to = result(y, scratch);
    Rows weight = Rows.contiguous(weights.find(true, layers.weights(inputs)), true, in);
    multiply(Rows.contiguous(factor(x, scratch), true, in), weight.flipped(), to, rows, out, in);
    long bias = layers.biased() ? weights.find(false, layers.biases(inputs)) : 0;
    return new Sum(to.numbers(), bias, 1, 0, 0, null, 0);
  }

  /** Bytes for copies of operands of such layers. */
  long scratchBytes(Tensor x, Tensor y) {
    return factorBytes(x) + resultBytes(y);
  }

  static int rows(Tensor weight, Tensor y) {
    return Math.toIntExact(y.size() / weight.dim(0));
  }

  /** The address of a factor as cuBLAS gets it. */
  long factor(Tensor x, Space scratch) {
    return inHalves() ? staging.halves(x, scratch) : staging.read(x, scratch);
  }

  long factorBytes(Tensor x) {
    return inHalves() ? Staging.halvesBytes(x) : Staging.scratchBytes(x);
  }

  /** Where cuBLAS writes a layer's result. */
  Rows result(Tensor y, Space scratch) {
    int columns = y.dim(-1);
    if (!inHalves()) {
      return Rows.contiguous(staging.write(y, scratch), false, columns);
    }
    long at = Staging.isHalf(y) ? address(y) : scratch.take(2 * y.size());
    return Rows.contiguous(at, true, columns);
  }

  long resultBytes(Tensor y) {
    return inHalves() ? Staging.halvesBytes(y) : Staging.scratchBytes(y);
  }

  /**
   * y[rows, out] = x[rows, in]·weight[out, in]ᵀ, of aligned x and y, and what completes it.
   *
   * @param weight the input that is it; bias and residual come after it
   */
  Sum layer(long x, Tensor[] inputs, int weight, Rows y, int rows, Space scratch) {
    int in = inputs[weight].dim(1);
    int out = inputs[weight].dim(0);
    if (in == 0) {
      elements.clear(y.numbers(), (long) rows * out);
      return Sum.of(y.numbers(), inputs, weight + 1);
    }
    Rows rowsOfWeight = Rows.contiguous(factor(inputs[weight], scratch), y.half, in).flipped();
    Rows factor = Rows.contiguous(x, y.half, in);
    return multiply(factor, rowsOfWeight, y, rows, out, in, inputs, weight + 1);
  }

  private Blas.Product gradients(int rows, int in, int out) {
    return new Blas.Product(Blas.Extra.SUMS, inHalves(), false, true, in, out, rows, precision);
  }

  /** Whether the gradients of a weight [out, in] and of a bias are one pass. */
  boolean givesGradients(int rows, int in, int out) {
    return (long) rows * in * out > 0 && blas.does(gradients(rows, in, out));
  }

  /** dweight = dyᵀ·x, and dbias = the sums of dy's columns. */
  void gradients(Tensor[] inputs, Tensor[] outputs, Space scratch) {
    int rows = inputs[0].dim(0);
    long x = factor(inputs[0], scratch);
    gradients(x, factor(inputs[1], scratch), rows, outputs[0], outputs[1], scratch);
  }

  /** The same of factors as cuBLAS gets them. */
  void gradients(long x, long dy, int rows, Tensor dweight, Tensor dbias, Space scratch) {
    Blas.Product product = gradients(rows, dweight.dim(1), dweight.dim(0));
    long weight = staging.write(dweight, scratch);
    long bias = staging.write(dbias, scratch);
    long bytes = Space.aligned(4 * dweight.size());
    rehearsal.call(
        product,
        bytes + 4 * dbias.size(),
        weight,
        to -> {
          long sums = to == weight ? bias : to + bytes;
          blas.multiply(product, new Blas.Operands(x, dy, to, sums, 0));
        });
    staging.finish(dweight, weight);
    staging.finish(dbias, bias);
  }

  /** Bytes for copies of its operands. */
  long scratchBytes(LinearGradients op, Tensor[] inputs, Tensor[] outputs) {
    return factorBytes(inputs[0]) + factorBytes(inputs[1]) + Staging.scratchBytes(outputs);
  }

  /** Bytes for copies of operands that cuBLAS cannot take as they are. */
  long scratchBytes(Linear op, Tensor[] inputs, Tensor y) {
    return factorBytes(inputs[0]) + factorBytes(inputs[1]) + resultBytes(y);
  }

  /** The same for a product. */
  long scratchBytes(MatMul op, Tensor[] inputs, Tensor y) {
    if (takesHalves(inputs)) {
      return Staging.halvesBytes(inputs[0])
          + Staging.halvesBytes(inputs[1])
          + Staging.scratchBytes(y);
    }
    return copyBytes(inputs[0], y) + copyBytes(inputs[1], y) + Staging.scratchBytes(y);
  }

  private static long copyBytes(Tensor x, Tensor y) {
    Shape copy = Operand.copied(x, y);
    return copy == null ? 0 : Space.aligned(4 * copy.size());
  }

  /**
   * Whether a product gets its factors as bfloat16: matrices that lie in memory without gaps, row
   * after row or column after column.
   */
  boolean takesHalves(Tensor... factors) {
    boolean takes = inHalves();
    for (Tensor x : factors) {
      takes &= x.shape().rank() == 2 && x.size() > 0 && isDense(x);
    }
    return takes;
  }

  private static boolean isDense(Tensor x) {
    return x.isContiguous() || x.stride(0) == 1 && x.stride(1) == x.dim(0);
  }

  /** Batched products of matrices; leading axes broadcast. */
  void matmul(Tensor a, Tensor b, Tensor y, Space scratch) {
    if (y.size() == 0) {
      return;
    }
    if (a.dim(-1) == 0) {
      elements.clear(Numbers.of(y), y.size());
      return;
    }
    int m = y.dim(-2);
    int n = y.dim(-1);
    Rows to = Rows.contiguous(staging.write(y, scratch), false, n);
    if (takesHalves(a, b)) {
      multiply(dense(a, scratch), dense(b, scratch), to, m, n, a.dim(-1));
    } else {
      Operand first = operand(a, y, scratch);
      Operand second = operand(b, y, scratch);
      int batch = Math.toIntExact(y.size() / m / n);
      multiply(
          first.matrix(),
          first.stride(),
          second.matrix(),
          second.stride(),
          to,
          m,
          n,
          a.dim(-1),
          batch);
    }
    staging.finish(y, to.address);
  }

  /** A dense factor as bfloat16. */
  private Rows dense(Tensor x, Space scratch) {
    long at = staging.halves(x, scratch);
    return x.isContiguous()
        ? new Rows(at, true, false, x.dim(1))
        : new Rows(at, true, true, x.dim(0));
  }

  private Operand operand(Tensor x, Tensor y, Space scratch) {
    Shape copy = Operand.copied(x, y);
    if (copy == null) {
      return Operand.of(address(x), x, x.shape(), x.strides(), y);
    }
    long at = scratch.take(4 * copy.size());
    elements.copy(x, copy, at);
    return Operand.of(at, x, copy, copy.contiguousStrides(), y);
  }
}
