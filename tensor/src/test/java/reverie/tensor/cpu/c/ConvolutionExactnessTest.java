// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.CpuBackend;
import reverie.tensor.cpu.KernelSet;
import reverie.tensor.cpu.kernel.KernelLibrary;
import reverie.tensor.cpu.threads.Team;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.Convolution;

/** How exact the convolutions are: docs/benchmarks/winograd.md. */
class ConvolutionExactnessTest {
  private final Device reference = Device.reference();
  private final Device cpu = new Device(new CpuBackend(1, KernelSet.VECTOR));

  /**
   * Winograd's algorithm; the tile unit, for which pixels of one, two and four images take turns.
   */
  @ParameterizedTest
  @CsvSource({
    "AMX, false, 16, 6e-7, 6e-6",
    "AMX, false, 8, 6e-7, 6e-6",
    "AMX, false, 4, 6e-7, 6e-6",
    "AMX, true, 16, 4e-7, 4e-7",
    "AVX512, false, 16, 1.2e-6, 1.2e-6",
    "AVX512, true, 16, 4e-7, 4e-7",
    "AVX2, false, 16, 1.2e-6, 1.2e-6",
    "AVX2, true, 16, 4e-7, 4e-7"
  })
  void isAsExactAsPromised(
      KernelSet set, boolean exact, int side, double forward, double gradients) {
    String library = set.isAvailable() ? set.label() : set.label() + "-emulated";
    assumeTrue(NativeKernels.isAvailable(library), library + " kernels were not built");
    KernelLibrary kernels = NativeKernels.of(NativeLibrary.load(library), exact);
    int[] x = {3, side, side, 128};
    int[] weight = {3, 3, 128, 64};
    int[] y = {3, side, side, 64};
    check(kernels, new Conv2d(1, 1), x, weight, y, forward);
    check(kernels, new Conv2dInputGradient(1, 1, side, side), y, weight, x, gradients);
    check(kernels, new Conv2dWeightGradient(1, 1, 3, 3), x, y, weight, gradients);
  }

  private void check(
      KernelLibrary kernels,
      Convolution op,
      int[] first,
      int[] second,
      int[] result,
      double error) {
    try (Team team = new Team(1);
        Scope _ = Scope.open("test")) {
      Tensor got = cpu.zeros(result);
      Tensor[] in = inputs(cpu, first, second);
      Tensor[] out = {got};
      switch (op) {
        case Conv2d o -> kernels.convolution().forward(team, o, in, out);
        case Conv2dInputGradient o -> kernels.convolution().inputGradient(team, o, in, out);
        case Conv2dWeightGradient o -> kernels.convolution().weightGradient(team, o, in, out);
      }
      check(error, op, inputs(reference, first, second), got);
    }
  }

  private static Tensor[] inputs(Device device, int[] first, int[] second) {
    Rng rng = Rng.of(1);
    return new Tensor[] {
      rng.fork("first").normal(device, first), rng.fork("second").normal(device, second)
    };
  }

  /** The root of the mean squared error, divided by that of the values. */
  private static void check(double most, Convolution op, Tensor[] inputs, Tensor got) {
    double[] expected = Ops.apply(op, inputs).toDoubles();
    double[] values = got.toDoubles();
    double error = 0;
    double size = 0;
    for (int i = 0; i < expected.length; i++) {
      error += Math.pow(values[i] - expected[i], 2);
      size += expected[i] * expected[i];
    }
    double relative = Math.sqrt(error / size);
    assertTrue(
        relative < most, op.name() + ": expected an error below " + most + ", got " + relative);
  }
}
