// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
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
import reverie.tensor.op.FeedForwardBackward;
import reverie.tensor.op.LinearGradients;

/** Layers whose products add biases and residuals or sum them, and the same where they cannot. */
@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class ProductsOnTheWayTest {
  /** What of ours is launched beside the product, with and without cublasLt. */
  @ParameterizedTest
  @CsvSource({
    "FLOAT32, true, '', '', '', geglu",
    "FLOAT32, false, epilogue, epilogue, sum_columns, geglu epilogue",
    "TF32, true, '', '', '', geglu",
    "BF16, true, narrow narrow epilogue, narrow narrow epilogue, narrow narrow,"
        + " narrow narrow geglu narrow epilogue",
    "BF16, false, narrow narrow epilogue, narrow narrow epilogue, narrow narrow sum_columns,"
        + " narrow narrow geglu narrow epilogue"
  })
  void launchesNothingForWhatProductsDo(
      Precision precision,
      boolean offered,
      String linear,
      String pixels,
      String gradients,
      String feedForward) {
    HostDriver driver = new HostDriver(1L << 28);
    HostBlas blas = new HostBlas(driver, new HashSet<>(), _ -> offered);
    try (CudaBackend backend = new CudaBackend(driver, blas, new HostDnn(driver), precision)) {
      Device device = new Device(backend);
      double tolerance = precision == Precision.BF16 ? 0x1p-5 : 0x1p-9;
      check(
          device,
          driver,
          tolerance,
          linear,
          x -> new Tensor[] {Ops.linear(x[0], x[1], x[2], x[3])},
          new int[][] {{2, 3, 8}, {12, 8}, {12}, {2, 3, 12}});
      check(
          device,
          driver,
          tolerance,
          pixels,
          x -> new Tensor[] {Ops.conv2d(x[0], x[1], x[2], x[3], 1, 0)},
          new int[][] {{2, 3, 2, 8}, {1, 1, 8, 12}, {12}, {2, 3, 2, 12}});
      check(
          device,
          driver,
          tolerance,
          gradients,
          x -> Ops.applyAll(new LinearGradients(), x[0], x[1]),
          new int[][] {{6, 8}, {6, 12}});
      check(
          device,
          driver,
          tolerance,
          feedForward,
          x -> new Tensor[] {Ops.feedForward(x[0], x[1], x[2], x[3], x[4], x[5])},
          new int[][] {{3, 8}, {16, 8}, {16}, {4, 8}, {4}, {3, 4}});
    }
  }

  /** What is between the layers is computed again, and never written as float32. */
  @Test
  void feedForwardGradientsGateTwice() {
    HostDriver driver = HostCuda.driver();
    try (CudaBackend backend = HostCuda.backend(driver, Precision.BF16)) {
      check(
          new Device(backend),
          driver,
          0x1p-4,
          "narrow narrow narrow geglu narrow geglu_backward narrow",
          x -> Ops.applyAll(new FeedForwardBackward(), x),
          new int[][] {{3, 8}, {16, 8}, {16}, {4, 8}, {3, 4}});
    }
  }

  /** Of one image: what is added to its bias comes after the product. */
  @Test
  void leavesTheBiasOfAnImageToWhatAddsBoth() {
    HostDriver driver = HostCuda.driver();
    try (CudaBackend backend = HostCuda.backend(driver, Precision.FLOAT32)) {
      check(
          new Device(backend),
          driver,
          0x1p-9,
          "affine add_strided epilogue",
          x -> new Tensor[] {Ops.conv2d(x[0], x[1], x[2].add(x[3].mul(2)), 1, 0)},
          new int[][] {{1, 3, 2, 8}, {1, 1, 8, 12}, {12}, {1, 12}});
    }
  }

  private static void check(
      Device device,
      HostDriver driver,
      double tolerance,
      String launches,
      Function<Tensor[], Tensor[]> function,
      int[]... shapes) {
    try (Scope _ = Scope.open("test")) {
      Tensor[] expected = function.apply(inputs(Device.reference(), shapes));
      Tensor[] inputs = inputs(device, shapes);
      int before = driver.launched().size();
      Tensor[] got = function.apply(inputs);
      List<String> launched = driver.launched().subList(before, driver.launched().size());
      assertEquals(launches, String.join(" ", launched));
      try (CapturedGraph graph = CapturedGraph.of(device, () -> function.apply(inputs))) {
        graph.run();
        for (int i = 0; i < got.length; i++) {
          double largest = expected[i].abs().max().toDoubles()[0];
          double[] own = got[i].toDoubles();
          assertArrayEquals(expected[i].toDoubles(), own, tolerance * largest);
          assertArrayEquals(own, graph.outputs().get(i).toDoubles());
        }
      }
    }
  }

  private static Tensor[] inputs(Device on, int[]... shapes) {
    return Arrays.stream(shapes)
        .map(dims -> {
          double[] values = Rng.of(dims.length).normal(Device.reference(), dims).toDoubles();
          return on.tensor(values, dims);
        })
        .toArray(Tensor[]::new);
  }
}
