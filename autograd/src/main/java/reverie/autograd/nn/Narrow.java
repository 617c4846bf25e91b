// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.op.Copy;
import reverie.tensor.op.Widen;

/**
 * Values that are held in 16 bits and widened where they are used, for weights that no training
 * changes.
 *
 * @param words two values in each
 * @param dtype {@code F16} or {@code BF16}
 */
record Narrow(Tensor words, DType dtype, Shape shape) {
  private static final int PIECE = 1 << 18;

  /** Zeros, in the memory of {@code scope}. */
  static Narrow zeros(Device device, DType dtype, Shape shape, Scope scope) {
    Narrow zeros = unset(device, dtype, shape, scope);
    int size = Widen.words(shape);
    try (Scope _ = Scope.open("zeros")) {
      for (int from = 0; from < size; from += PIECE) {
        int to = (int) Math.min((long) from + PIECE, size);
        zeros.words.slice(0, from, to).assign(new int[to - from]);
      }
    }
    return zeros;
  }

  /** What is to be written before it is read, in the memory of {@code scope}. */
  static Narrow unset(Device device, DType dtype, Shape shape, Scope scope) {
    try (Scope _ = Scope.open("weight")) {
      return new Narrow(scope.adopt(device.unset(DType.I32, Widen.words(shape))), dtype, shape);
    }
  }

  /** The values as floats, in the open scope. */
  Tensor read() {
    return Ops.widen(words, dtype, shape);
  }

  /** Takes over values, rounded to the nearest, ties to even. */
  void write(String name, Tensor values) {
    try (Scope _ = Scope.open("write")) {
      int size = Math.toIntExact(shape.size());
      Tensor flat = values.contiguous().reshape(size);
      for (int from = 0; from < size; from += PIECE) {
        float[] piece = flat.slice(0, from, (int) Math.min((long) from + PIECE, size)).toFloats();
        int[] packed = new int[(piece.length + 1) / 2];
        for (int i = 0; i < piece.length; i++) {
          packed[i / 2] |= bits(name, piece[i]) << 16 * (i % 2);
        }
        words.slice(0, from / 2, from / 2 + packed.length).assign(packed);
      }
    }
  }

  private int bits(String name, float value) {
    if (dtype == DType.BF16) {
      return DType.bf16Bits(value);
    }
    short bits = Float.floatToFloat16(value);
    if (Float.isFinite(value) && !Float.isFinite(Float.float16ToFloat(bits))) {
      throw new ReverieException(
          "parameter: " + name + " holds " + value + ", which is too large for float16",
          "hold the weights in bfloat16 or float32");
    }
    return bits & 0xffff;
  }

  Narrow copiedTo(Scope scope) {
    try (Scope _ = Scope.open("copy")) {
      return new Narrow(scope.adopt(Ops.apply(new Copy(), words)), dtype, shape);
    }
  }
}
