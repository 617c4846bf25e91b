// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.c.NativeKernels;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.FeedForwardBackward;

/** Row blocks, pieces of sums and both kinds of products: what laws' small samples do not reach. */
class FeedForwardTest {
  @ParameterizedTest
  @CsvSource({
    "AMX,       1,  32, 128",
    "AMX,     601,  32, 128",
    "AMX,     601,  64, 256",
    "AMX,    2300,  96,  36",
    "AVX512, 2300,  64, 256",
    "AVX512,   30, 512, 1024",
    "AVX2,    601,  33,  35",
    "VECTOR,  601,  32, 128",
  })
  void isItsPartsInAllKernels(KernelSet set, int rows, int in, int c) {
    String library = set.isAvailable() ? set.label() : set.label() + "-emulated";
    assumeTrue(set.isAvailable() || NativeKernels.isAvailable(library), library + " was not built");
    Device device =
        new Device(
            set.isAvailable()
                ? new CpuBackend(2, set)
                : new CpuBackend(2, library, NativeKernels.load(library)));
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(1).normal(device, rows, in);
      Tensor up = Rng.of(2).normal(device, 2 * c, in);
      Tensor upBias = Rng.of(3).normal(device, 2 * c);
      Tensor down = Rng.of(4).normal(device, in, c);
      Tensor bias = Rng.of(5).normal(device, in);
      Tensor residual = Rng.of(6).normal(device, rows, in);
      Tensor[] inputs = {x, up, upBias, down, bias, residual};
      FeedForward forward = new FeedForward();
      expectParts(forward.decompose(inputs), Ops.applyAll(forward, inputs), 1e-5);
      Tensor dy = Rng.of(7).normal(device, rows, in);
      Tensor[] known = {x, up, upBias, down, dy};
      expectParts(
          new FeedForwardBackward().decompose(known),
          Ops.applyAll(new FeedForwardBackward(), known),
          5e-5);
    }
  }

  private static void expectParts(Tensor[] parts, Tensor[] whole, double relative) {
    for (int i = 0; i < parts.length; i++) {
      double most = parts[i].abs().max().toDoubles()[0];
      assertArrayEquals(parts[i].toDoubles(), whole[i].toDoubles(), relative * most);
    }
  }
}
