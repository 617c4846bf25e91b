// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.cuda.driver.Rounding;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.Linear;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;

/** Products are those of rounded factors, summed in float32. */
@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class PrecisionTest {
  private static final double SINGLE = 0x1p-20;

  /** Results of cuDNN and of linear layers are bfloat16 themselves. */
  private static final double HALF = 0x1p-8;

  private static double[] rounded(Precision precision, double... values) {
    return Arrays.stream(values).map(x -> Rounding.of(precision, x)).toArray();
  }

  private static double[] run(
      Op op, Device on, double[] a, Shape aShape, double[] b, Shape bShape) {
    return Ops.apply(op, on.tensor(a, aShape.dims()), on.tensor(b, bShape.dims())).toDoubles();
  }

  private static double distance(double[] a, double... b) {
    return IntStream.range(0, a.length).mapToDouble(i -> Math.abs(a[i] - b[i])).max().orElseThrow();
  }

  private static void check(
      Op op, Precision precision, double tolerance, Shape first, Shape second) {
    Device device = new Device(HostCuda.backend(precision));
    Device reference = Device.reference();
    try (Scope _ = Scope.open("test")) {
      double[] a = rounded(Precision.TF32, Rng.of(1).normal(reference, first.dims()).toDoubles());
      double[] b = rounded(Precision.TF32, Rng.of(2).normal(reference, second.dims()).toDoubles());
      double[] exact = run(op, reference, a, first, b, second);
      double[] expected =
          run(op, reference, rounded(precision, a), first, rounded(precision, b), second);
      double[] got = run(op, device, a, first, b, second);
      double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
      assertArrayEquals(expected, got, tolerance * largest);
      if (precision == Precision.BF16) {
        assertTrue(distance(exact, got) > 4 * SINGLE * largest, op + " was not rounded");
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void matrixProducts(Precision precision) {
    check(new MatMul(), precision, SINGLE, Shape.of(5, 33), Shape.of(33, 7));
    double tolerance = precision == Precision.BF16 ? HALF : SINGLE;
    check(new Linear(), precision, tolerance, Shape.of(5, 33), Shape.of(7, 33));
  }

  @ParameterizedTest
  @EnumSource
  void convolutions(Precision precision) {
    double tolerance = precision == Precision.BF16 ? HALF : SINGLE;
    Shape x = Shape.of(2, 6, 5, 3);
    Shape w = Shape.of(3, 3, 3, 4);
    Shape y = Shape.of(2, 6, 5, 4);
    check(new Conv2d(1, 1), precision, tolerance, x, w);
    check(new Conv2dInputGradient(1, 1, 6, 5), precision, tolerance, y, w);
    check(new Conv2dWeightGradient(1, 1, 3, 3), precision, tolerance, x, y);
  }

  /** Every pass over the images costs as much as a norm: there is one after cuDNN. */
  @Test
  void addsBiasAndResidualWhereTheResultIsWidened() {
    HostDriver driver = HostCuda.driver();
    Device device = new Device(HostCuda.backend(driver, Precision.BF16));
    try (Scope _ = Scope.open("test")) {
      for (int c : new int[] {8, 7}) {
        Tensor one = device.scalar(1);
        Tensor[] inputs = {
          one.expand(2, 4, 4, 4), one.expand(3, 3, 4, c), one.expand(2, c), one.expand(2, 4, 4, c)
        };
        int before = driver.launched().size();
        double[] y = Ops.apply(new Conv2d(1, 1), inputs).toDoubles();
        List<String> launched = driver.launched().subList(before, driver.launched().size());
        launched = launched.stream().filter(name -> !name.startsWith("copy")).toList();
        assertEquals(List.of("narrow", "transpose_to_bf16", "epilogue"), launched);
        // A corner and an inner pixel.
        assertEquals(16 + 2, y[0]);
        assertEquals(36 + 2, y[5 * c + c - 1]);
      }
    }
  }
}
