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
import reverie.tensor.op.Affine;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Clamp;
import reverie.tensor.op.ElementFunction;
import reverie.tensor.op.GeluBackward;
import reverie.tensor.op.Power;
import reverie.tensor.op.RoundTo;
import reverie.tensor.op.Select;
import reverie.tensor.op.SiluBackward;
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

  /** out = kind(a) of so many elements; cosine and sine are not asked for. */
  protected abstract void unary(Unary.Kind kind, long out, long a, int count);

  /** out = kind(a, b). */
  protected abstract void binary(Binary.Kind kind, long out, long a, long b, int count);

  /** out = scale · a + shift. */
  protected abstract void affine(long out, long a, float scale, float shift, int count);

  /** out = min(max(a, low), high). */
  protected abstract void clamp(long out, long a, float low, float high, int count);

  /** out = a where the mask is not 0, else b. */
  protected abstract void select(long out, long mask, long a, long b, int count);

  /** out = dy · silu'(x). */
  protected abstract void siluBackward(long out, long x, long dy, int count);

  /** out = dy · gelu'(x). */
  protected abstract void geluBackward(long out, long x, long dy, int count);

  /** output = op(inputs), where output is contiguous. */
  public void run(Parallel parallel, ElementFunction op, Tensor[] inputs, Tensor output) {
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

  private void run(Parallel parallel, ElementFunction op, Operand[] operands, Tensor output) {
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

  private void task(
      ElementFunction op, Operand[] operands, long out, long start, int count, int block) {
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
        block(op, out + 4 * (start + done), getLong(in), getLong(in + 8), getLong(in + 16), some);
      }
    }
  }

  private void block(ElementFunction op, long out, long a, long b, long c, int count) {
    switch (op) {
      case Affine(double scale, double shift) ->
          affine(out, a, (float) scale, (float) shift, count);
      case Binary(Binary.Kind kind) -> binary(kind, out, a, b, count);
      case Clamp(double low, double high) -> clamp(out, a, (float) low, (float) high, count);
      case GeluBackward _ -> geluBackward(out, a, b, count);
      case Power(double exponent) -> power(out, a, count, exponent);
      case RoundTo round -> round(out, a, count, round);
      case Select _ -> select(out, a, b, c, count);
      case SiluBackward _ -> siluBackward(out, a, b, count);
      case Unary(Unary.Kind kind) -> {
        switch (kind) {
          case COS -> cos(out, a, count);
          case SIN -> sin(out, a, count);
          case ABS,
              ERF,
              EXP,
              GELU,
              LOG,
              LOG_SIGMOID,
              RECIPROCAL,
              RELU,
              SIGMOID,
              SIGN,
              SILU,
              SQRT,
              SQUARE,
              TANH ->
              unary(kind, out, a, count);
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
