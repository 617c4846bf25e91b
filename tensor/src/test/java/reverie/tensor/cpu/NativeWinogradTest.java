// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.Op;

/** How exact the convolutions are: docs/benchmarks/winograd.md. */
class NativeWinogradTest {
  private final Device reference = Device.reference();
  private final Device cpu = new Device(new CpuBackend(1, KernelSet.VECTOR));

  @ParameterizedTest
  @CsvSource({
    "AVX512, false, 1.2e-6",
    "AVX512, true, 4e-7",
    "AVX2, false, 1.2e-6",
    "AVX2, true, 4e-7"
  })
  void isAsExactAsPromised(KernelSet set, boolean exact, double error) {
    assumeTrue(set.isAvailable());
    NativeLibrary library = NativeLibrary.load(set.label());
    NativeWinograd winograd = new NativeWinograd(library, new NativeProducts(library), exact);
    try (Team team = new Team(1);
        Scope _ = Scope.open("test")) {
      int[] x = {2, 16, 16, 96};
      int[] weight = {3, 3, 96, 64};
      int[] y = {2, 16, 16, 64};
      Conv2d conv = new Conv2d(1, 1);
      Tensor got = cpu.zeros(y);
      assertTrue(winograd.forward(team, conv, inputs(cpu, x, weight), got));
      check(error, conv, inputs(reference, x, weight), got);

      Conv2dInputGradient input = new Conv2dInputGradient(1, 1, 16, 16);
      got = cpu.zeros(x);
      assertTrue(winograd.inputGradient(team, input, inputs(cpu, y, weight), got));
      check(error, input, inputs(reference, y, weight), got);

      Conv2dWeightGradient kernel = new Conv2dWeightGradient(1, 1, 3, 3);
      got = cpu.zeros(weight);
      assertTrue(winograd.weightGradient(team, kernel, inputs(cpu, x, y), got));
      check(error, kernel, inputs(reference, x, y), got);
    }
  }

  private static Tensor[] inputs(Device device, int[] first, int[] second) {
    Rng rng = Rng.of(1);
    return new Tensor[] {
      rng.fork("first").normal(device, first), rng.fork("second").normal(device, second)
    };
  }

  /** The root of the mean squared error, divided by that of the values. */
  private static void check(double most, Op op, Tensor[] inputs, Tensor got) {
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
