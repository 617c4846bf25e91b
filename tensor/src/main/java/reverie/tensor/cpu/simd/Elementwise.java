// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.getLong;
import static reverie.tensor.cpu.memory.Memory.set;
import static reverie.tensor.cpu.memory.Memory.setLong;
import static reverie.tensor.cpu.simd.Vectors.BYTES;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;

import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Operand;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Affine;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Clamp;
import reverie.tensor.op.GeluBackward;
import reverie.tensor.op.Op;
import reverie.tensor.op.Power;
import reverie.tensor.op.RoundTo;
import reverie.tensor.op.Select;
import reverie.tensor.op.SiluBackward;
import reverie.tensor.op.Unary;

/**
 * Runs functions of single elements, with broadcasting and any strides, block by block.
 *
 * <p>The function is chosen once for each block by a switch; a lambda on vectors would be boxed at
 * every element.
 */
public final class Elementwise {
  /** Elements of a block: four of them fit the first-level cache. */
  private static final int BLOCK = 2048;

  /** From so many elements on vectors are worth it. */
  private static final int FEW = 4 * WIDTH;

  /** Elements of a piece of work. */
  private static final int CHUNK = 16 * BLOCK;

  private static final int MOST_OPERANDS = 3;

  private Elementwise() {}

  /** out = op(inputs), where out is contiguous. */
  public static void run(Parallel parallel, Op op, Tensor[] inputs, Tensor output) {
    Operand[] operands = new Operand[inputs.length];
    for (int i = 0; i < inputs.length; i++) {
      operands[i] = operand(inputs[i], output);
    }
    run(parallel, op, operands, output);
  }

  /** output += what lies at this address in row-major order, broadcast. */
  public static void add(Parallel parallel, Tensor output, long address, int... dims) {
    int[] strides = new int[dims.length];
    for (int axis = dims.length - 1, stride = 1; axis >= 0; stride *= dims[axis--]) {
      strides[axis] = stride;
    }
    Operand[] operands = {
      operand(output, output), Operand.of(address, Shape.of(dims), strides, output.shape())
    };
    run(parallel, new Binary(Binary.Kind.ADD), operands, output);
  }

  private static void run(Parallel parallel, Op op, Operand[] operands, Tensor output) {
    long out = Memory.address(output);
    long size = output.size();
    int chunks = Math.toIntExact((size + CHUNK - 1) / CHUNK);
    parallel.forEach(
        chunks,
        c -> {
          long start = (long) c * CHUNK;
          chunk(op, operands, out, start, (int) Math.min(CHUNK, size - start));
        });
  }

  /** Copies a tensor of any strides to a contiguous one; the bits are not interpreted. */
  public static void copy(Parallel parallel, Tensor from, Tensor to) {
    Operand operand = operand(from, to);
    long out = Memory.address(to);
    long size = to.size();
    int chunks = Math.toIntExact((size + CHUNK - 1) / CHUNK);
    parallel.forEach(
        chunks,
        c -> {
          long start = (long) c * CHUNK;
          operand.gather(start, (int) Math.min(CHUNK, size - start), out + 4 * start);
        });
  }

  private static Operand operand(Tensor input, Tensor output) {
    return Operand.of(Memory.address(input), input.shape(), input.strides(), output.shape());
  }

  private static void chunk(Op op, Operand[] operands, long out, long start, int count) {
    try (Scratch scratch = Scratch.frame()) {
      long pads = scratch.bytes(4 * BYTES);
      // Of each operand the working memory, and where the block lies.
      long spare = scratch.bytes(8L * MOST_OPERANDS);
      long in = scratch.bytes(8L * MOST_OPERANDS);
      for (int i = 0; i < operands.length; i++) {
        long own = scratch.floats(operands[i].spare(BLOCK));
        setLong(spare + 8L * i, own);
        operands[i].prepare(own, BLOCK);
      }
      for (int done = 0; done < count; done += BLOCK) {
        int block = Math.min(BLOCK, count - done);
        for (int i = 0; i < operands.length; i++) {
          setLong(in + 8L * i, operands[i].block(start + done, block, getLong(spare + 8L * i)));
        }
        long to = out + 4 * (start + done);
        if (block < FEW && few(op, to, getLong(in), getLong(in + 8), block)) {
          continue;
        }
        int whole = block - block % WIDTH;
        apply(op, to, getLong(in), getLong(in + 8), getLong(in + 16), 4L * whole);
        int rest = block - whole;
        if (rest > 0) {
          for (int i = 0; i < operands.length; i++) {
            Memory.copy(getLong(in + 8L * i) + 4L * whole, pads + i * BYTES, rest);
          }
          apply(op, pads + 3 * BYTES, pads, pads + BYTES, pads + 2 * BYTES, BYTES);
          Memory.copy(pads + 3 * BYTES, to + 4L * whole, rest);
        }
      }
    }
  }

  /**
   * Elements one by one, with the same bits: where tensors are small the Vector API is called too
   * rarely to be compiled, and would box every vector. False if only vectors know the function.
   */
  private static boolean few(Op op, long out, long a, long b, int count) {
    for (long i = 0; i < 4L * count; i += 4) {
      float x = get(a + i);
      if (op instanceof Binary binary) {
        set(out + i, BinaryLoops.one(binary.kind(), x, get(b + i)));
      } else if (op instanceof Affine affine) {
        set(out + i, UnaryLoops.affine(x, (float) affine.scale(), (float) affine.shift()));
      } else if (op instanceof Clamp clamp) {
        set(out + i, Math.min(Math.max(x, (float) clamp.low()), (float) clamp.high()));
      } else if (op instanceof Unary unary && unary.kind() == Unary.Kind.SQUARE) {
        set(out + i, x * x);
      } else {
        return false;
      }
    }
    return true;
  }

  /** One block of whole vectors. */
  private static void apply(Op op, long out, long a, long b, long c, long bytes) {
    switch (op) {
      case Unary unary -> UnaryLoops.run(unary.kind(), out, a, bytes);
      case Binary binary -> BinaryLoops.run(binary.kind(), out, a, b, bytes);
      case Affine affine ->
          UnaryLoops.affine(out, a, bytes, (float) affine.scale(), (float) affine.shift());
      case Clamp clamp ->
          UnaryLoops.clamp(out, a, bytes, (float) clamp.low(), (float) clamp.high());
      case Power power -> UnaryLoops.power(out, a, bytes, power.exponent());
      case RoundTo round -> UnaryLoops.round(round.narrower(), out, a, bytes);
      case Select _ -> BinaryLoops.select(out, a, b, c, bytes);
      case SiluBackward _ -> BinaryLoops.siluBackward(out, a, b, bytes);
      case GeluBackward _ -> BinaryLoops.geluBackward(out, a, b, bytes);
      default -> throw new IllegalStateException("not element-wise: " + op);
    }
  }
}
