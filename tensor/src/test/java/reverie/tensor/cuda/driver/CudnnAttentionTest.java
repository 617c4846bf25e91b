// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Graphs that cuDNN is not asked for; what it computes is tested by {@code JcudaTest}. */
class CudnnAttentionTest {
  @ParameterizedTest
  @CsvSource({
    "92400, 90, 256, true, true",
    "90000, 80, 256, true, true",
    "91002, 120, 256, false, true",
    "92400, 100, 256, true, false",
    "92400, 90, 250, false, false",
    "91000, 90, 256, false, false",
    "91001, 90, 256, true, false",
    "8907, 90, 256, false, false"
  })
  void asksWhereItIsKnownToBeRight(
      long version, int capability, int keys, boolean backward, boolean fits) {
    Dnn.Attention attention =
        new Dnn.Attention(1, 2, 256, keys, 64, 64, 0.125f, 128, 128, 128, backward);
    assertEquals(fits, CudnnAttention.fits(attention, version, capability));
  }
}
