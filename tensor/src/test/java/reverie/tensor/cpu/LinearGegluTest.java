// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.op.LinearGeglu;

/**
 * Sampling computes GEGLU while rows are near, training by parts: a policy's ratio is 1 only if
 * both give the same bits.
 */
class LinearGegluTest {
  @ParameterizedTest
  @CsvSource({
    "AMX,     1, 32, 256, true",
    "AMX,   601, 32, 256, true",
    "AMX,   601, 64, 512, true",
    "AMX,  3000, 96,  72, true",
    "AMX,   300, 2048, 64, false",
    "AVX512, 601, 64, 512, true",
    "AVX512,  30, 512, 4096, false",
    "AVX2,   601, 33,  70, true",
    "VECTOR, 601, 32, 256, false",
  })
  void hasTheBitsOfItsParts(KernelSet set, int rows, int in, int out, boolean near) {
    assumeTrue(set.isAvailable(), set + " kernels are not available here");
    CpuBackend backend = new CpuBackend(2, set);
    Device device = new Device(backend);
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(1).normal(device, rows, in);
      Tensor weight = Rng.of(2).normal(device, out, in);
      Tensor bias = Rng.of(3).normal(device, out);
      assertEquals(near, backend.supports(new LinearGeglu(), new Tensor[] {x, weight, bias}));
      assertArrayEquals(
          Ops.geglu(Ops.linear(x, weight, bias)).toFloats(), Ops.geglu(x, weight, bias).toFloats());
    }
  }
}
