// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.set;
import static reverie.tensor.cpu.simd.Vectors.BYTES;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;

import reverie.tensor.cpu.kernel.Elementwise;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.op.Binary;
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

  /** A function over whole vectors. */
  @FunctionalInterface
  private interface Loop {
    void run(long out, long a, long b, long c, long bytes);
  }

  private static void vectors(long out, long a, long b, long c, int count, Loop loop) {
    int whole = count - count % WIDTH;
    loop.run(out, a, b, c, 4L * whole);
    if (whole < count) {
      rest(loop, out + 4L * whole, a, b, c, 4L * whole, count - whole);
    }
  }

  /** Fewer elements than a vector, by way of whole ones. */
  private static void rest(Loop loop, long out, long a, long b, long c, long offset, int count) {
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
      loop.run(result, pads, second, third, BYTES);
      Memory.copy(result, out, count);
    }
  }

  /**
   * Whether elements are computed one by one, with the same bits: where tensors are small the
   * Vector API is called too rarely to be compiled, and would box every vector.
   */
  private static boolean isShort(int count) {
    return count < MIN_VECTORISED;
  }

  @Override
  protected void unary(Unary.Kind kind, long out, long a, int count) {
    if (kind == Unary.Kind.SQUARE && isShort(count)) {
      for (long i = 0; i < 4L * count; i += 4) {
        set(out + i, get(a + i) * get(a + i));
      }
    } else {
      vectors(out, a, 0, 0, count, (y, x, _, _, bytes) -> UnaryLoops.run(kind, y, x, bytes));
    }
  }

  @Override
  protected void binary(Binary.Kind kind, long out, long a, long b, int count) {
    if (isShort(count)) {
      for (long i = 0; i < 4L * count; i += 4) {
        set(out + i, BinaryLoops.one(kind, get(a + i), get(b + i)));
      }
    } else {
      vectors(out, a, b, 0, count, (y, p, q, _, bytes) -> BinaryLoops.run(kind, y, p, q, bytes));
    }
  }

  @Override
  protected void affine(long out, long a, float scale, float shift, int count) {
    if (isShort(count)) {
      for (long i = 0; i < 4L * count; i += 4) {
        set(out + i, UnaryLoops.affine(get(a + i), scale, shift));
      }
    } else {
      vectors(
          out, a, 0, 0, count, (y, x, _, _, bytes) -> UnaryLoops.affine(y, x, bytes, scale, shift));
    }
  }

  @Override
  protected void clamp(long out, long a, float low, float high, int count) {
    if (isShort(count)) {
      for (long i = 0; i < 4L * count; i += 4) {
        set(out + i, Math.min(Math.max(get(a + i), low), high));
      }
    } else {
      vectors(out, a, 0, 0, count, (y, x, _, _, bytes) -> UnaryLoops.clamp(y, x, bytes, low, high));
    }
  }

  @Override
  protected void select(long out, long mask, long a, long b, int count) {
    vectors(out, mask, a, b, count, BinaryLoops::select);
  }

  @Override
  protected void siluBackward(long out, long x, long dy, int count) {
    vectors(out, x, dy, 0, count, (y, p, q, _, bytes) -> BinaryLoops.siluBackward(y, p, q, bytes));
  }

  @Override
  protected void geluBackward(long out, long x, long dy, int count) {
    vectors(out, x, dy, 0, count, (y, p, q, _, bytes) -> BinaryLoops.geluBackward(y, p, q, bytes));
  }
}
