// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;
import static reverie.tensor.cuda.kernels.Space.aligned;

import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Dnn;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;

/**
 * Attention without the matrix of scores: {@code attention.cu} for float32 factors, {@code
 * attention_cores.cu} for TF32 and {@code attention_halves.cu} for bfloat16 on the tensor cores, or
 * cuDNN where {@link AttentionGraphs} has it.
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
  private final AttentionGraphs graphs;
  private final Precision precision;

  Attentions(Kernels kernels, AttentionGraphs graphs, Precision precision) {
    this.kernels = kernels;
    this.graphs = graphs;
    this.precision = precision;
  }

  /** Whether there is a kernel for heads of this size. */
  static boolean fits(int heads, Tensor[] inputs) {
    int d = inputs[0].dim(2) / heads;
    int dv = inputs[2].dim(2) / heads;
    return Math.min(d, dv) > 0 && Math.max(d, dv) <= SIZES[SIZES.length - 1];
  }

  /**
   * Whether queries, keys, values and gradients may be kept as bfloat16: in rows of whole units.
   */
  boolean takesHalves(int heads, Tensor[] inputs) {
    return precision == Precision.BF16
        && inputs[0].dim(2) / heads % UNIT == 0
        && inputs[2].dim(2) / heads % UNIT == 0;
  }

  /** Whether several images may read the same keys and values, which cuDNN does not do. */
  boolean sharesKeys(Attention op, Tensor[] inputs, Tensor[] outputs) {
    Form form = new Form(op.heads(), op.scale(), inputs[0], inputs[2]);
    return graph(form, false, inputs, outputs[1]) == null;
  }

  /** Room for factors of bfloat16, and for what cuDNN needs. */
  long scratchBytes(Attention op, Tensor[] inputs, Tensor[] outputs) {
    Form form = new Form(op.heads(), op.scale(), inputs[0], inputs[2]);
    long factors = narrowedBytes(form, inputs[0], inputs[1], inputs[2]);
    Dnn.Attention graph = graph(form, false, inputs, outputs[1]);
    return graph == null ? factors : factors + graphs.scratchBytes(graph, outputs[0]);
  }

  /** Room for the same, and for Σ dy·y of every query. */
  long scratchBytes(AttentionBackward op, Tensor[] inputs, Tensor[] outputs) {
    Form form = new Form(op.heads(), op.scale(), inputs[0], inputs[2]);
    long factors = narrowedBytes(form, inputs[0], inputs[1], inputs[2], inputs[5]);
    Dnn.Attention graph = graph(form, true, inputs, inputs[4]);
    return graph == null
        ? factors + aligned(4 * inputs[4].size())
        : factors + graphs.scratchBytes(graph, inputs[3], outputs[0], outputs[1], outputs[2]);
  }

  /** What cuDNN computes this as; null if our kernels do. */
  private Dnn.Attention graph(Form form, boolean backward, Tensor[] inputs, Tensor logSumExp) {
    if (precision != Precision.BF16 || form.keyed != form.b) {
      return null;
    }
    Dnn.Attention graph =
        new Dnn.Attention(
            form.b,
            form.heads,
            form.tq,
            form.tk,
            form.d,
            form.dv,
            (float) form.scale,
            form.row(inputs[0]),
            form.row(inputs[1]),
            form.row(inputs[2]),
            backward);
    return graphs.computes(graph, logSumExp) ? graph : null;
  }

  /** For people: how cuDNN computes what it was asked for. */
  List<String> describe() {
    return graphs.describe();
  }

  private long narrowedBytes(Form form, Tensor... factors) {
    long bytes = 0;
    for (Tensor x : factors) {
      boolean narrowed = precision == Precision.BF16 && !Staging.isHalf(x);
      bytes += narrowed ? aligned(form.narrowedBytes(x)) : 0;
    }
    return bytes;
  }

  /**
   * Where a kernel finds a factor.
   *
   * @param row elements from one query or key to the next
   */
  private record Factor(long address, long bytes, int row) {}

  /** The factors as the kernels want them: in bfloat16 rows of whole units. */
  private Factor[] factors(Form form, Space scratch, Tensor... tensors) {
    Factor[] factors = new Factor[tensors.length];
    if (precision != Precision.BF16) {
      for (int i = 0; i < factors.length; i++) {
        factors[i] = new Factor(address(tensors[i]), 4 * tensors[i].size(), 0);
      }
      return factors;
    }
    Arguments arguments = new Arguments();
    long all = 0;
    int narrowed = 0;
    for (int i = 0; i < factors.length; i++) {
      Tensor x = tensors[i];
      long bytes = form.narrowedBytes(x);
      if (Staging.isHalf(x)) {
        factors[i] = new Factor(address(x), bytes, form.row(x));
        continue;
      }
      int width = x.dim(2) / form.heads;
      factors[i] = new Factor(scratch.take(bytes), bytes, form.row(x));
      long pieces = bytes / 2 / UNIT;
      boolean fours = width % 4 == 0 && address(x) % WIDTH == 0;
      arguments.read(x).write(factors[i].address, bytes).int64(pieces);
      arguments.int32(width).int32(wide(width)).int64(fours ? 1 : 0);
      all += pieces;
      narrowed++;
    }
    for (int i = narrowed; i < MAX_FACTORS; i++) {
      arguments.pointer(0).pointer(0).int64(0).int32(0).int32(0).int64(0);
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
    Factor[] factors = factors(form, scratch, inputs[0], inputs[1], inputs[2]);
    Dnn.Attention graph = graph(form, false, inputs, outputs[1]);
    if (graph != null) {
      graphs.forward(
          graph, factors[0].address, factors[1].address, factors[2].address, outputs, scratch);
      return;
    }
    Arguments arguments = new Arguments();
    for (Factor factor : factors) {
      arguments.read(factor.address, factor.bytes);
    }
    arguments.pointer(0).pointer(0).pointer(0).pointer(0).write(outputs[0]).write(outputs[1]);
    boolean byCores = precision != Precision.FLOAT32;
    arguments.products(form.flops(1, 1), precision);
    int size = form.size();
    int kept = byCores ? CORE_ROWS : size <= 80 ? 64 : 32;
    launch(name(precision) + size, form, form.tq, kept, fours, arguments, outputs[0], factors);
  }

  void backward(AttentionBackward attention, Tensor[] inputs, Tensor[] outputs, Space scratch) {
    Form form = new Form(attention.heads(), attention.scale(), inputs[0], inputs[2]);
    Factor[] factors = factors(form, scratch, inputs[0], inputs[1], inputs[2], inputs[5]);
    Dnn.Attention graph = graph(form, true, inputs, inputs[4]);
    if (graph != null) {
      long[] at = Arrays.stream(factors).mapToLong(Factor::address).toArray();
      graphs.backward(graph, at[0], at[1], at[2], at[3], inputs, outputs, scratch);
      return;
    }
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
    Arguments deltas = new Arguments().pointer(0).pointer(0).pointer(0).read(inputs[3]);
    deltas.read(factors[3].address, factors[3].bytes).pointer(0).pointer(0);
    deltas.write(delta, bytes).pointer(0);
    kernels.launch(
        precision == Precision.BF16 ? "attention_halves_delta" : "attention_delta",
        kernels.blocks(32 * inputs[4].size()),
        add(deltas, form, fours, inputs[3], factors));

    int size = form.size();
    boolean wide = size > MAX_GRADIENT;
    Precision unit = wide && precision == Precision.TF32 ? Precision.FLOAT32 : precision;
    boolean byCores = unit != Precision.FLOAT32;
    int kept = byCores ? CORE_ROWS : size <= 40 ? 64 : size <= 80 ? 32 : 16;
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
    launch(name(unit) + "dq_" + size, form, form.tq, kept, fours, queries, outputs[0], factors);
    if (wide && unit == Precision.BF16) {
      Arguments keys = read.get().write(outputs[1]).pointer(0).products(form.flops(2, 1), unit);
      launch(name(unit) + "dk_" + size, form, form.tk, kept, fours, keys, outputs[1], factors);
      Arguments values = read.get().pointer(0).write(outputs[2]).products(form.flops(1, 1), unit);
      launch(name(unit) + "dv_" + size, form, form.tk, kept, fours, values, outputs[2], factors);
    } else {
      Arguments both = read.get().write(outputs[1]).write(outputs[2]);
      both.products(form.flops(2, 2), unit);
      launch(name(unit) + "dk_dv_" + size, form, form.tk, kept, fours, both, outputs[1], factors);
    }
  }

  private static String name(Precision unit) {
    return switch (unit) {
      case FLOAT32 -> "attention_";
      case TF32 -> "attention_cores_";
      case BF16 -> "attention_halves_";
    };
  }

  /**
   * Sizes: batch, heads, queries, keys, width of keys and of values in a head.
   *
   * @param keyed images that have keys and values of their own
   */
  private record Form(int b, int heads, int tq, int tk, int d, int dv, double scale, int keyed) {
    Form(int heads, double scale, Tensor q, Tensor v) {
      this(
          q.dim(0), heads, q.dim(1), v.dim(1), q.dim(2) / heads, v.dim(2) / heads, scale, v.dim(0));
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

    /** Elements from one row of a factor of bfloat16 to the next. */
    int row(Tensor x) {
      if (Staging.isHalf(x)) {
        return x.dim(1) == 1 ? x.stride(0) : x.stride(1);
      }
      return heads * wide(x.dim(2) / heads);
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
   * @param result of whose type all results are
   */
  private void launch(
      String kernel,
      Form form,
      int length,
      int kept,
      boolean fours,
      Arguments arguments,
      Tensor result,
      Factor... factors) {
    long blocks = (long) form.b * form.heads * ((length + kept - 1) / kept);
    kernels.launch(kernel, blocks, add(arguments, form, fours, result, factors));
  }

  /** Adds the sizes, and whether what is no factor is bfloat16. */
  private Arguments add(
      Arguments arguments, Form form, boolean fours, Tensor other, Factor... factors) {
    arguments.int32(form.b).int32(form.heads).int32(form.tq).int32(form.tk);
    arguments.int32(form.d).int32(form.dv).float32(form.scale);
    arguments.int32(fours ? 1 : 0).int32(wide(form.d)).int32(wide(form.dv));
    arguments.int32(Staging.isHalf(other) ? 1 : 0).int32(form.keyed);
    return arguments.int32(factors[0].row).int32(factors[1].row).int32(factors[2].row);
  }
}
