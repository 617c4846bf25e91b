// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

/**
 * Element types. Computation happens in a device's {@link Device#floatType()} with {@link #I32} for
 * indices; the others are storage formats of files.
 */
public enum DType {
  /** IEEE binary32. */
  F32(4, true),
  /** IEEE binary64, the reference device's type. */
  F64(8, true),
  /** IEEE binary16. */
  F16(2, true),
  /** The upper half of a binary32. */
  BF16(2, true),
  /** Signed 32-bit integers: indices. */
  I32(4, false),
  /** Signed 64-bit integers. */
  I64(8, false),
  /** Unsigned bytes. */
  U8(1, false);

  private final int bytes;
  private final boolean floating;

  DType(int bytes, boolean floating) {
    this.bytes = bytes;
    this.floating = floating;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }

  /** Whether this is a floating-point type. */
  public boolean isFloating() {
    return floating;
  }

  /** The nearest value that this type can hold, ties to even: the one definition of rounding. */
  public double round(double value) {
    return switch (this) {
      case F64 -> value;
      case F32 -> (float) value;
      case F16 -> Float.float16ToFloat(Float.floatToFloat16((float) value));
      case BF16 -> Float.intBitsToFloat(bf16Bits((float) value) << 16);
      case I32, I64, U8 -> Math.rint(value);
    };
  }

  /** The 16 bits of {@code value} as bfloat16, rounded to nearest even; NaN stays NaN. */
  public static int bf16Bits(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (bits >>> 16) | 0x40;
    }
    return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
}
