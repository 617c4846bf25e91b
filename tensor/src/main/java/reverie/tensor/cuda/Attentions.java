// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import static reverie.tensor.cuda.CudaBackend.address;
import static reverie.tensor.cuda.Space.aligned;

import reverie.tensor.Tensor;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;
import reverie.tensor.op.Op;

/**
 * Attention without the matrix of scores: {@code attention.cu} for float32 factors, {@code
 * attention_cores.cu} for those of the tensor cores.
 */
final class Attentions {
  /** Widths of heads, of queries and keys or of values, for which there are kernels. */
  private static final int[] SIZES = {8, 16, 32, 40, 64, 80, 160};

  /** The widest heads whose gradients the tensor cores compute. */
  private static final int WIDEST_GRADIENT = 80;

  /** Queries or keys that a block keeps in front of the tensor cores. */
  private static final int CORE_ROWS = 128;

  private static final int WIDTH = 16;

  private final Kernels kernels;
  private final Precision precision;

  Attentions(Kernels kernels, Precision precision) {
    this.kernels = kernels;
    this.precision = precision;
  }

  /** Whether there is a kernel for heads of this size. */
  static boolean fits(int heads, Tensor[] inputs) {
    int d = inputs[0].dim(2) / heads;
    int dv = inputs[2].dim(2) / heads;
    return Math.min(d, dv) > 0 && Math.max(d, dv) <= SIZES[SIZES.length - 1];
  }

  /** Room for Σ dy·y of every query in the backward pass. */
  long scratchBytes(Op op, Tensor[] inputs) {
    return op instanceof AttentionBackward ? aligned(4 * inputs[4].size()) : 0;
  }

  void forward(Attention attention, Tensor[] inputs, Tensor[] outputs, Space scratch) {
    Form form = new Form(attention.heads(), attention.scale(), inputs[0], inputs[2]);
    long[] rows = {address(inputs[0]), address(inputs[1]), address(inputs[2]), 0, 0, 0, 0};
    long[] to = {address(outputs[0]), address(outputs[1])};
    boolean fours = form.fours(rows[0], rows[1], rows[2], to[0]);
    int size = form.size();
    if (precision == Precision.FLOAT32) {
      launch("attention_" + size, form, form.tq, size <= 80 ? 64 : 32, fours, rows, to);
    } else {
      launch("attention_cores_" + size, form, form.tq, CORE_ROWS, fours, rows, to);
    }
  }

  void backward(AttentionBackward attention, Tensor[] inputs, Tensor[] outputs, Space scratch) {
    Form form = new Form(attention.heads(), attention.scale(), inputs[0], inputs[2]);
    long delta = scratch.take(4 * inputs[4].size());
    long[] from = new long[inputs.length];
    for (int i = 0; i < from.length; i++) {
      from[i] = address(inputs[i]);
    }
    long[] rows = {from[0], from[1], from[2], from[3], from[5], from[4], delta};
    long dq = address(outputs[0]);
    long dk = address(outputs[1]);
    long dv = address(outputs[2]);
    boolean fours = form.fours(from[0], from[1], from[2], from[5], dq, dk, dv);
    long queries = kernels.blocks(32 * inputs[4].size());
    kernels.launch("attention_delta", queries, arguments(form, fours, rows, delta, 0));
    int size = form.size();
    boolean byCores = precision != Precision.FLOAT32 && size <= WIDEST_GRADIENT;
    int kept = byCores ? CORE_ROWS : size <= 40 ? 64 : size <= 80 ? 32 : 16;
    String name = byCores ? "attention_cores_" : "attention_";
    launch(name + "dq_" + size, form, form.tq, kept, fours, rows, dq, 0);
    launch(name + "dk_dv_" + size, form, form.tk, kept, fours, rows, dk, dv);
  }

  /** Sizes: batch, heads, queries, keys, width of keys and of values in a head. */
  private record Form(int b, int heads, int tq, int tk, int d, int dv, double scale) {
    Form(int heads, double scale, Tensor q, Tensor v) {
      this(q.dim(0), heads, q.dim(1), v.dim(1), q.dim(2) / heads, v.dim(2) / heads, scale);
    }

    /** That of the kernel. */
    int size() {
      for (int size : SIZES) {
        if (Math.max(d, dv) <= size) {
          return size;
        }
      }
      throw new IllegalStateException("no kernel for heads of " + d + " and " + dv);
    }

    /** Whether all rows of all heads are aligned to four elements, if tensors are where said. */
    boolean fours(long... addresses) {
      long all = d % 4 | dv % 4;
      for (long address : addresses) {
        all |= address % WIDTH;
      }
      return all == 0;
    }
  }

  /**
   * Launches a block for so many of the queries or keys of each head.
   *
   * @param length how many queries or keys there are
   * @param kept how many the kernel's tiles have
   */
  private void launch(
      String kernel, Form form, int length, int kept, boolean fours, long[] rows, long... to) {
    long blocks = (long) form.b * form.heads * ((length + kept - 1) / kept);
    kernels.launch(kernel, blocks, arguments(form, fours, rows, to));
  }

  private Arguments arguments(Form form, boolean fours, long[] rows, long... to) {
    Arguments arguments = new Arguments();
    for (long address : rows) {
      arguments.address(address);
    }
    for (long address : to) {
      arguments.address(address);
    }
    arguments.int32(form.b).int32(form.heads).int32(form.tq).int32(form.tk);
    arguments.int32(form.d).int32(form.dv).float32(form.scale);
    return arguments.int32(fours ? 1 : 0).int32(precision == Precision.BF16 ? 1 : 0);
  }
}
