// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class DTypeTest {
  @Test
  void roundsToTheNearestAndTiesToEven() {
    // bfloat16 keeps 8 bits: between 1 and 2 the spacing is 1/128.
    assertEquals(1, DType.BF16.round(1 + 1 / 256.0));
    assertEquals(1 + 2 / 128.0, DType.BF16.round(1 + 3 / 256.0));
    assertEquals(1 + 1 / 128.0, DType.BF16.round(1 + 1 / 256.0 + 1e-6));
    // binary16 keeps 11 bits.
    assertEquals(1, DType.F16.round(1 + 1 / 2048.0));
    assertEquals(1 + 2 / 1024.0, DType.F16.round(1 + 3 / 2048.0));
    assertEquals((float) 0.1, DType.F32.round(0.1));
    assertEquals(0.1, DType.F64.round(0.1));
    assertEquals(2, DType.I32.round(2.5));
  }

  @Test
  void reachesItsLimits() {
    assertEquals(65504, DType.F16.round(65519));
    assertEquals(Double.POSITIVE_INFINITY, DType.F16.round(65520));
    assertEquals(0x1p-24, DType.F16.round(0x1p-24));
    assertEquals(0, DType.F16.round(0x1p-25));
    assertEquals(Double.POSITIVE_INFINITY, DType.BF16.round(Float.MAX_VALUE));
    assertEquals(Double.NEGATIVE_INFINITY, DType.F32.round(-1e39));
    for (DType type : new DType[] {DType.F32, DType.F64, DType.F16, DType.BF16}) {
      assertTrue(Double.isNaN(type.round(Double.NaN)));
      assertEquals(Double.NEGATIVE_INFINITY, type.round(Double.NEGATIVE_INFINITY));
      assertEquals(Double.NEGATIVE_INFINITY, 1 / type.round(-0.0));
    }
  }

  @Test
  void bitsAndValuesAgree() {
    for (int bits = 0; bits < 1 << 16; bits++) {
      float value = Float.intBitsToFloat(bits << 16);
      if (!Float.isNaN(value)) {
        assertEquals(bits, DType.bf16Bits(value));
      } else {
        assertTrue(Float.isNaN(Float.intBitsToFloat(DType.bf16Bits(value) << 16)));
      }
    }
  }
}
