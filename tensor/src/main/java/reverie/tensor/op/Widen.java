// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/**
 * Numbers that are kept in 16 bits, as the device's floats: two in each word of {@code
 * I32[⌈size/2⌉]}, the first in its lower half. Exact.
 *
 * @param from {@code F16} or {@code BF16}
 * @param shape of the result
 */
public record Widen(DType from, Shape shape) implements DataMovement {
  /** Checks the type. */
  public Widen {
    if (from != DType.F16 && from != DType.BF16) {
      throw new ReverieException("widen: expected F16 or BF16, got " + from);
    }
  }

  /** Words that hold so many numbers. */
  public static int words(Shape shape) {
    return Math.toIntExact((shape.size() + 1) / 2);
  }

  /** The number in the lower 16 bits. */
  public float value(int bits) {
    return from == DType.BF16
        ? Float.intBitsToFloat(bits << 16)
        : Float.float16ToFloat((short) bits);
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    return infer(DType.F32, inputs);
  }

  @Override
  public List<TensorType> infer(DType floatType, List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    TensorType words = new TensorType(DType.I32, Shape.of(words(shape)));
    Rule.require(inputs.getFirst().equals(words), this, words + " for " + shape, inputs);
    return Rule.one(new TensorType(floatType, shape));
  }
}
