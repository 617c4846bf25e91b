// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;
import static reverie.tensor.cuda.kernels.Space.aligned;

import java.util.function.Supplier;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;

/**
 * Attention without the matrix of scores: {@code attention.cu} for float32 factors, {@code
 * attention_cores.cu} for TF32 and {@code attention_halves.cu} for bfloat16 on the tensor cores.
 */
final class Attentions {
  /** Widths of heads, of queries and keys or of values, for which there are kernels. */
  private static final int[] SIZES = {8, 16, 32, 40, 64, 80, 160};

  /** The widest heads of which one kernel computes the gradients, but for float32. */
  private static final int MAX_GRADIENT = 80;

  /** Queries or keys that a block keeps in front of the tensor cores. */
  private static final int CORE_ROWS = 128;

  private static final int WIDTH = 16;

  /** Elements of bfloat16 that are copied at once. */
  private static final int UNIT = 8;

  private static final int MAX_FACTORS = 4;

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

  /** Room for factors of bfloat16. */
  long scratchBytes(Attention op, Tensor[] inputs) {
    Form form = new Form(op.heads(), op.scale(), inputs[0], inputs[2]);
    return narrowedBytes(form, inputs[0], inputs[1], inputs[2]);
  }

  /** Room for the same, and for Σ dy·y of every query. */
  long scratchBytes(AttentionBackward op, Tensor[] inputs) {
    Form form = new Form(op.heads(), op.scale(), inputs[0], inputs[2]);
    return aligned(4 * inputs[4].size())
        + narrowedBytes(form, inputs[0], inputs[1], inputs[2], inputs[5]);
  }

  private long narrowedBytes(Form form, Tensor... factors) {
    long bytes = 0;
    for (Tensor x : factors) {
      bytes += precision == Precision.BF16 ? aligned(form.narrowedBytes(x)) : 0;
    }
    return bytes;
  }

  /** Where a kernel finds a factor. */
  private record Factor(long address, long bytes) {}

  /** The factors as the kernels want them: in bfloat16 rows of whole units. */
  private Factor[] factors(Form form, Space scratch, Tensor... tensors) {
    Factor[] factors = new Factor[tensors.length];
    if (precision != Precision.BF16) {
      for (int i = 0; i < factors.length; i++) {
        factors[i] = new Factor(address(tensors[i]), 4 * tensors[i].size());
      }
      return factors;
    }
    Arguments arguments = new Arguments();
    long all = 0;
    for (int i = 0; i < MAX_FACTORS; i++) {
      if (i >= tensors.length) {
        arguments.pointer(0).pointer(0).int64(0).int32(0).int32(0).int64(0);
        continue;
      }
      Tensor x = tensors[i];
      long bytes = form.narrowedBytes(x);
      factors[i] = new Factor(scratch.take(bytes), bytes);
      int width = x.dim(2) / form.heads;
      long pieces = bytes / 2 / UNIT;
      boolean fours = width % 4 == 0 && address(x) % WIDTH == 0;
      arguments.read(x).write(factors[i].address, bytes).int64(pieces);
      arguments.int32(width).int32(wide(width)).int64(fours ? 1 : 0);
      all += pieces;
    }
    kernels.launch("attention_narrow", kernels.blocks(all), arguments.int64(all));
    return factors;
  }

  private static int wide(int width) {
    return (width + UNIT - 1) / UNIT * UNIT;
  }

  void forward(Attention attention, Tensor[] inputs, Tensor[] outputs, Space scratch) {
    Form form = new Form(attention.heads(), attention.scale(), inputs[0], inputs[2]);
    boolean fours =
        form.fours(address(inputs[0]), address(inputs[1]), address(inputs[2]), address(outputs[0]));
    Arguments arguments = new Arguments();
    for (Factor factor : factors(form, scratch, inputs[0], inputs[1], inputs[2])) {
      arguments.read(factor.address, factor.bytes);
    }
    arguments.pointer(0).pointer(0).pointer(0).pointer(0).write(outputs[0]).write(outputs[1]);
    boolean byCores = precision != Precision.FLOAT32;
    arguments.products(form.flops(1, 1), precision);
    int size = form.size();
    int kept = byCores ? CORE_ROWS : size <= 80 ? 64 : 32;
    launch(name(precision) + size, form, form.tq, kept, fours, arguments);
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
    boolean wide = size > MAX_GRADIENT;
    Precision unit = wide && precision == Precision.TF32 ? Precision.FLOAT32 : precision;
    boolean byCores = unit != Precision.FLOAT32;
    int kept = byCores ? CORE_ROWS : size <= 40 ? 64 : size <= 80 ? 32 : 16;
    Factor[] factors = factors(form, scratch, inputs[0], inputs[1], inputs[2], inputs[5]);
    Supplier<Arguments> read =
        () -> {
          Arguments arguments = new Arguments();
          for (int i = 0; i < 3; i++) {
            arguments.read(factors[i].address, factors[i].bytes);
          }
          arguments.pointer(0).read(factors[3].address, factors[3].bytes);
          return arguments.read(inputs[4]).read(delta, bytes);
        };
    Arguments queries = read.get().write(outputs[0]).pointer(0).products(form.flops(2, 1), unit);
    launch(name(unit) + "dq_" + size, form, form.tq, kept, fours, queries);
    if (wide && unit == Precision.BF16) {
      Arguments keys = read.get().write(outputs[1]).pointer(0).products(form.flops(2, 1), unit);
      launch(name(unit) + "dk_" + size, form, form.tk, kept, fours, keys);
      Arguments values = read.get().pointer(0).write(outputs[2]).products(form.flops(1, 1), unit);
      launch(name(unit) + "dv_" + size, form, form.tk, kept, fours, values);
    } else {
      Arguments both = read.get().write(outputs[1]).write(outputs[2]);
      both.products(form.flops(2, 2), unit);
      launch(name(unit) + "dk_dv_" + size, form, form.tk, kept, fours, both);
    }
  }

  private static String name(Precision unit) {
    return switch (unit) {
      case FLOAT32 -> "attention_";
      case TF32 -> "attention_cores_";
      case BF16 -> "attention_halves_";
    };
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

    /** Of a tensor [b, t, heads·width] as bfloat16, each row of a head of whole units. */
    long narrowedBytes(Tensor x) {
      return x.size() == 0 ? 0 : x.size() / (x.dim(2) / heads) * wide(x.dim(2) / heads) * 2;
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
    return arguments.int32(fours ? 1 : 0).int32(wide(form.d)).int32(wide(form.dv));
  }
}
