// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.getLong;
import static reverie.tensor.cpu.memory.Memory.set;
import static reverie.tensor.cpu.memory.Memory.setLong;

import java.util.Arrays;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Operand;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Op;
import reverie.tensor.op.Power;
import reverie.tensor.op.RoundTo;
import reverie.tensor.op.Unary;

/**
 * Runs functions of single elements, with broadcasting and any strides: what does not lie in order
 * is laid out block by block, so that a library has one loop for each function.
 */
public abstract class Elementwise {
  /** Elements of a block: four of them fit the first-level cache. */
  private static final int BLOCK = 2048;

  /** Elements of a task. */
  private static final int TASK = 1 << 14;

  private static final int MAX_OPERANDS = 3;

  /** Applies a function to {@code count} elements; addresses past the operation's inputs are 0. */
  protected abstract void apply(Op op, long out, long a, long b, long c, int count);

  /** output = op(inputs), where output is contiguous. */
  public void run(Parallel parallel, Op op, Tensor[] inputs, Tensor output) {
    Operand[] operands = new Operand[inputs.length];
    for (int i = 0; i < inputs.length; i++) {
      operands[i] = Operand.of(inputs[i], output.shape());
    }
    boolean square = op instanceof Power power && power.exponent() == 2;
    run(parallel, square ? new Unary(Unary.Kind.SQUARE) : op, operands, output);
  }

  /** output += what lies at this address in row-major order, broadcast. */
  public void add(Parallel parallel, Tensor output, long address, int... dims) {
    int[] strides = new int[dims.length];
    for (int axis = dims.length - 1, stride = 1; axis >= 0; stride *= dims[axis--]) {
      strides[axis] = stride;
    }
    Operand[] operands = {
      Operand.of(output, output.shape()),
      Operand.of(address, Shape.of(dims), strides, output.shape())
    };
    run(parallel, new Binary(Binary.Kind.ADD), operands, output);
  }

  private void run(Parallel parallel, Op op, Operand[] operands, Tensor output) {
    long out = Memory.address(output);
    long size = output.size();
    int block = Arrays.stream(operands).allMatch(Operand::contiguous) ? TASK : BLOCK;
    parallel.parallelFor(
        Math.toIntExact((size + TASK - 1) / TASK),
        task -> {
          long start = (long) task * TASK;
          int count = (int) Math.min(TASK, size - start);
          task(op, operands, out, start, count, Math.min(block, count));
        });
  }

  private void task(Op op, Operand[] operands, long out, long start, int count, int block) {
    try (Scratch scratch = Scratch.frame()) {
      // Of each operand the working memory, and where the block lies.
      long spare = scratch.bytes(8L * MAX_OPERANDS);
      long in = scratch.bytes(8L * MAX_OPERANDS);
      for (int i = 0; i < MAX_OPERANDS; i++) {
        setLong(in + 8L * i, 0);
      }
      for (int i = 0; i < operands.length; i++) {
        long own = scratch.floats(operands[i].spare(block));
        setLong(spare + 8L * i, own);
        operands[i].prepare(own, block);
      }
      for (int done = 0; done < count; done += block) {
        int some = Math.min(block, count - done);
        for (int i = 0; i < operands.length; i++) {
          setLong(in + 8L * i, operands[i].block(start + done, some, getLong(spare + 8L * i)));
        }
        long to = out + 4 * (start + done);
        long a = getLong(in);
        switch (op) {
          case Unary unary when unary.kind() == Unary.Kind.COS -> cos(to, a, some);
          case Unary unary when unary.kind() == Unary.Kind.SIN -> sin(to, a, some);
          case Power power -> power(to, a, some, power.exponent());
          case RoundTo round -> round(to, a, some, round);
          default -> apply(op, to, a, getLong(in + 8), getLong(in + 16), some);
        }
      }
    }
  }

  private static void cos(long out, long a, int count) {
    for (long i = 0; i < 4L * count; i += 4) {
      set(out + i, (float) Math.cos(get(a + i)));
    }
  }

  private static void sin(long out, long a, int count) {
    for (long i = 0; i < 4L * count; i += 4) {
      set(out + i, (float) Math.sin(get(a + i)));
    }
  }

  private static void power(long out, long a, int count, double exponent) {
    for (long i = 0; i < 4L * count; i += 4) {
      set(out + i, (float) Math.pow(get(a + i), exponent));
    }
  }

  private static void round(long out, long a, int count, RoundTo op) {
    for (long i = 0; i < 4L * count; i += 4) {
      set(out + i, (float) op.narrower().round(get(a + i)));
    }
  }
}
