// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;
import static reverie.tensor.cuda.kernels.Space.aligned;

import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;

/**
 * Attention without the matrix of scores: {@code attention.cu} for float32 factors, {@code
 * attention_cores.cu} for those of the tensor cores.
 */
final class Attentions {
  /** Widths of heads, of queries and keys or of values, for which there are kernels. */
  private static final int[] SIZES = {8, 16, 32, 40, 64, 80, 160};

  /** The widest heads whose gradients the tensor cores compute. */
  private static final int MAX_GRADIENT = 80;

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
  static long scratchBytes(AttentionBackward op, Tensor[] inputs) {
    return aligned(4 * inputs[4].size());
  }

  void forward(Attention attention, Tensor[] inputs, Tensor[] outputs, Space scratch) {
    Form form = new Form(attention.heads(), attention.scale(), inputs[0], inputs[2]);
    boolean fours =
        form.fours(address(inputs[0]), address(inputs[1]), address(inputs[2]), address(outputs[0]));
    Arguments arguments = new Arguments().read(inputs[0]).read(inputs[1]).read(inputs[2]);
    arguments.pointer(0).pointer(0).pointer(0).pointer(0).write(outputs[0]).write(outputs[1]);
    boolean byCores = precision != Precision.FLOAT32;
    arguments.products(form.flops(1, 1), unit(byCores));
    int size = form.size();
    int kept = byCores ? CORE_ROWS : size <= 80 ? 64 : 32;
    launch(name(byCores) + size, form, form.tq, kept, fours, arguments);
  }

  void backward(AttentionBackward attention, Tensor[] inputs, Tensor[] outputs, Space scratch) {
    Form form = new Form(attention.heads(), attention.scale(), inputs[0], inputs[2]);
    long bytes = 4 * inputs[4].size();
    long delta = scratch.take(bytes);
    boolean fours =
        form.fours(
            address(inputs[0]),
            address(inputs[1]),
            address(inputs[2]),
            address(inputs[5]),
            address(outputs[0]),
            address(outputs[1]),
            address(outputs[2]));
    Arguments deltas = new Arguments().pointer(0).pointer(0).pointer(0);
    deltas.read(inputs[3]).read(inputs[5]).pointer(0).pointer(0).write(delta, bytes).pointer(0);
    kernels.launch(
        "attention_delta", kernels.blocks(32 * inputs[4].size()), add(deltas, form, fours));

    int size = form.size();
    boolean byCores = precision != Precision.FLOAT32 && size <= MAX_GRADIENT;
    int kept = byCores ? CORE_ROWS : size <= 40 ? 64 : size <= 80 ? 32 : 16;
    Arguments queries = gradient(inputs, delta, bytes).write(outputs[0]).pointer(0);
    queries.products(form.flops(2, 1), unit(byCores));
    launch(name(byCores) + "dq_" + size, form, form.tq, kept, fours, queries);
    Arguments keys = gradient(inputs, delta, bytes).write(outputs[1]).write(outputs[2]);
    keys.products(form.flops(2, 2), unit(byCores));
    launch(name(byCores) + "dk_dv_" + size, form, form.tk, kept, fours, keys);
  }

  private static String name(boolean byCores) {
    return byCores ? "attention_cores_" : "attention_";
  }

  /** The tensor cores get TF32 numbers, which may have been rounded to bfloat16. */
  private static Precision unit(boolean byCores) {
    return byCores ? Precision.TF32 : Precision.FLOAT32;
  }

  private static Arguments gradient(Tensor[] inputs, long delta, long bytes) {
    Arguments arguments = new Arguments().read(inputs[0]).read(inputs[1]).read(inputs[2]);
    return arguments.pointer(0).read(inputs[5]).read(inputs[4]).read(delta, bytes);
  }

  /** Sizes: batch, heads, queries, keys, width of keys and of values in a head. */
  private record Form(int b, int heads, int tq, int tk, int d, int dv, double scale) {
    Form(int heads, double scale, Tensor q, Tensor v) {
      this(q.dim(0), heads, q.dim(1), v.dim(1), q.dim(2) / heads, v.dim(2) / heads, scale);
    }

    /** Of so many products over the width of keys and over that of values. */
    double flops(int keys, int values) {
      return 2.0 * b * heads * tq * tk * (keys * d + values * dv);
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
      String kernel, Form form, int length, int kept, boolean fours, Arguments arguments) {
    long blocks = (long) form.b * form.heads * ((length + kept - 1) / kept);
    kernels.launch(kernel, blocks, add(arguments, form, fours));
  }

  private Arguments add(Arguments arguments, Form form, boolean fours) {
    arguments.int32(form.b).int32(form.heads).int32(form.tq).int32(form.tk);
    arguments.int32(form.d).int32(form.dv).float32(form.scale);
    return arguments.int32(fours ? 1 : 0).int32(precision == Precision.BF16 ? 1 : 0);
  }
}
