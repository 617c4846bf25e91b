// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import reverie.tensor.DType;

/** Factors as a precision rounds them. */
public final class Rounding {
  private Rounding() {}

  public static double of(Precision precision, double value) {
    return switch (precision) {
      case FLOAT32 -> value;
      // 13 bits of the significand are cut, to the nearest.
      case TF32 -> {
        int bits = Float.floatToRawIntBits((float) value);
        yield Double.isNaN(value) ? value : Float.intBitsToFloat((bits + 0x1000) & ~0x1fff);
      }
      case BF16 -> DType.BF16.round(value);
    };
  }
}
