// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.CudaBackend;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.HostBlas;
import reverie.tensor.cuda.driver.HostDnn;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.Op;

/** Where cuDNN has no algorithm, a wider precision or products of unfolded images do as well. */
@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class ConvolutionFallbackTest {
  private static final int N = 6;
  private static final int SIDE = 5;
  private static final int IN = 3;
  private static final int OUT = 4;

  @ParameterizedTest
  @CsvSource({
    "BF16, BF16 TF32 FLOAT32, bf16",
    "BF16, TF32 FLOAT32, tf32",
    "BF16, FLOAT32, float32",
    "BF16, '', unfolded",
    "TF32, FLOAT32, float32",
    "TF32, '', unfolded",
    "FLOAT32, '', unfolded"
  })
  void takesTheNextThatThereIs(Precision precision, String offered, String taken) {
    Set<String> precisions = Set.copyOf(Arrays.asList(offered.split(" ")));
    HostDriver driver = new HostDriver(1L << 28).inBothOrders();
    HostDnn dnn =
        new HostDnn(driver, problem -> precisions.contains(problem.precision().name()), _ -> false);
    try (CudaBackend backend = new CudaBackend(driver, new HostBlas(driver), dnn, precision)) {
      Device device = new Device(backend);
      double tolerance = precision == Precision.BF16 ? 0x1p-6 : 0x1p-9;
      for (int stride = 1; stride <= 2; stride++) {
        int side = (SIDE + 2 - 3) / stride + 1;
        int[] x = {N, SIDE, SIDE, IN};
        int[] w = {3, 3, IN, OUT};
        int[] y = {N, side, side, OUT};
        check(new Conv2d(stride, 1), device, tolerance, x, w);
        check(new Conv2dInputGradient(stride, 1, SIDE, SIDE), device, tolerance, y, w);
        check(new Conv2dWeightGradient(stride, 1, 3, 3), device, tolerance, x, y);
      }
      List<String> ways = backend.convolutions();
      assertEquals(6, ways.size(), ways.toString());
      for (String way : ways) {
        assertTrue(
            way.contains(": ") && way.substring(way.lastIndexOf("]: ")).contains(taken), way);
      }
    }
  }

  /** In TF32 mode as one graph, if there is one. */
  @ParameterizedTest
  @CsvSource({"TF32, true, 0", "TF32, false, 1", "FLOAT32, true, 1", "BF16, true, 1"})
  void addsBiasAndResidualOnTheWay(Precision precision, boolean offered, long passes) {
    HostDriver driver = new HostDriver(1L << 28);
    HostDnn dnn = new HostDnn(driver, _ -> true, _ -> offered);
    try (CudaBackend backend = new CudaBackend(driver, new HostBlas(driver), dnn, precision)) {
      Device device = new Device(backend);
      double tolerance = precision == Precision.BF16 ? 0x1p-6 : 0x1p-9;
      int[][] shapes = {{N, SIDE, SIDE, IN}, {3, 3, IN, OUT}, {OUT}, {N, SIDE, SIDE, OUT}};
      for (int inputs = 3; inputs <= 4; inputs++) {
        driver.launched().clear();
        check(new Conv2d(1, 1), device, tolerance, Arrays.copyOf(shapes, inputs));
        // Once directly, and once captured.
        assertEquals(2 * passes, driver.launched().stream().filter("epilogue"::equals).count());
      }
    }
  }

  private static void check(Op op, Device device, double tolerance, int[]... shapes) {
    try (Scope _ = Scope.open("test")) {
      Device reference = Device.reference();
      Tensor[] exact = inputs(reference, shapes);
      Tensor[] own = inputs(device, shapes);
      double[] expected = Ops.apply(op, exact).toDoubles();
      double[] got = Ops.apply(op, own).toDoubles();
      double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
      assertArrayEquals(expected, got, tolerance * largest, op.toString());
      try (CapturedGraph graph =
          CapturedGraph.of(device, () -> new Tensor[] {Ops.apply(op, own)})) {
        graph.run();
        assertArrayEquals(got, graph.outputs().getFirst().toDoubles(), op + " captured");
      }
    }
  }

  private static Tensor[] inputs(Device on, int[]... shapes) {
    Tensor[] inputs = new Tensor[shapes.length];
    for (int i = 0; i < shapes.length; i++) {
      double[] values = Rng.of(1 + i).normal(Device.reference(), shapes[i]).toDoubles();
      inputs[i] = on.tensor(values, shapes[i]);
    }
    return inputs;
  }
}
