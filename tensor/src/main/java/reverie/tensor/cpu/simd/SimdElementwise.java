// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.set;
import static reverie.tensor.cpu.simd.Vectors.BYTES;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;

import reverie.tensor.cpu.kernel.Elementwise;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.op.Affine;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Clamp;
import reverie.tensor.op.GeluBackward;
import reverie.tensor.op.Op;
import reverie.tensor.op.Select;
import reverie.tensor.op.SiluBackward;
import reverie.tensor.op.Unary;

/**
 * Functions of single elements.
 *
 * <p>The function is chosen once for each block by a switch; a lambda on vectors would be boxed at
 * every element.
 */
final class SimdElementwise extends Elementwise {
  /** From so many elements on vectors are worth it. */
  private static final int MIN_VECTORISED = 4 * WIDTH;

  @Override
  protected void apply(Op op, long out, long a, long b, long c, int count) {
    if (count < MIN_VECTORISED && oneByOne(op, out, a, b, count)) {
      return;
    }
    int whole = count - count % WIDTH;
    vectors(op, out, a, b, c, 4L * whole);
    if (whole < count) {
      rest(op, out + 4L * whole, a, b, c, 4L * whole, count - whole);
    }
  }

  /** Fewer elements than a vector, by way of whole ones. */
  private static void rest(Op op, long out, long a, long b, long c, long offset, int count) {
    try (Scratch scratch = Scratch.frame()) {
      long pads = scratch.bytes(4 * BYTES);
      long second = pads + BYTES;
      long third = second + BYTES;
      long result = third + BYTES;
      Memory.copy(a + offset, pads, count);
      if (b != 0) {
        Memory.copy(b + offset, second, count);
      }
      if (c != 0) {
        Memory.copy(c + offset, third, count);
      }
      vectors(op, result, pads, second, third, BYTES);
      Memory.copy(result, out, count);
    }
  }

  /**
   * Elements one by one, with the same bits: where tensors are small the Vector API is called too
   * rarely to be compiled, and would box every vector. False if only vectors know the function.
   */
  private static boolean oneByOne(Op op, long out, long a, long b, int count) {
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
  private static void vectors(Op op, long out, long a, long b, long c, long bytes) {
    switch (op) {
      case Unary unary -> UnaryLoops.run(unary.kind(), out, a, bytes);
      case Binary binary -> BinaryLoops.run(binary.kind(), out, a, b, bytes);
      case Affine affine ->
          UnaryLoops.affine(out, a, bytes, (float) affine.scale(), (float) affine.shift());
      case Clamp clamp ->
          UnaryLoops.clamp(out, a, bytes, (float) clamp.low(), (float) clamp.high());
      case Select _ -> BinaryLoops.select(out, a, b, c, bytes);
      case SiluBackward _ -> BinaryLoops.siluBackward(out, a, b, bytes);
      case GeluBackward _ -> BinaryLoops.geluBackward(out, a, b, bytes);
      default -> throw new IllegalStateException("not element-wise: " + op);
    }
  }
}
