// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.CudaBackend;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.RealDevice;
import reverie.tensor.cuda.driver.HostBlas;
import reverie.tensor.cuda.driver.HostDnn;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;

/** Every kernel, with several tiles, aligned and not. */
@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class AttentionsTest {
  private final HostDriver driver = new HostDriver(1L << 28).inBothOrders();
  private final Device reference = Device.reference();

  private Device device(Precision precision) {
    return new Device(
        new CudaBackend(driver, new HostBlas(driver), new HostDnn(driver), precision));
  }

  @AfterEach
  void close() {
    driver.close();
  }

  @ParameterizedTest
  @CsvSource({
    "8, 200, 130, 8, 8, 2",
    "16, 70, 33, 12, 16, 1",
    "32, 65, 70, 30, 21, 1",
    "40, 200, 130, 40, 40, 2",
    "64, 70, 77, 64, 64, 1",
    "80, 130, 40, 80, 72, 1",
    "160, 40, 50, 160, 160, 2"
  })
  void agreesWithTheReference(int size, int tq, int tk, int d, int dv, int heads) {
    check(
        Precision.FLOAT32,
        3e-6,
        List.of("%d", "delta", "dq_%d", "dk_dv_%d"),
        size,
        tq,
        tk,
        d,
        dv,
        heads);
  }

  /**
   * Inputs are exact in bfloat16, so only weights and gradients of scores are rounded, and in
   * bfloat16 mode the result, which gradients are made of.
   */
  @ParameterizedTest
  @CsvSource({
    "8, 200, 130, 8, 8, 2",
    "16, 70, 33, 12, 16, 1",
    "32, 65, 70, 30, 21, 1",
    "40, 150, 130, 40, 40, 1",
    "64, 70, 77, 64, 64, 1",
    "80, 30, 140, 80, 72, 1"
  })
  void agreesWithTheReferenceUpToRounding(int size, int tq, int tk, int d, int dv, int heads) {
    List<String> cores = List.of("cores_%d", "delta", "cores_dq_%d", "cores_dk_dv_%d");
    check(Precision.TF32, 0x1p-11, cores, size, tq, tk, d, dv, heads);
    List<String> halves =
        List.of("narrow", "halves_%d", "narrow", "halves_delta", "halves_dq_%d", "halves_dk_dv_%d");
    check(Precision.BF16, 0x1p-7, halves, size, tq, tk, d, dv, heads);
  }

  /** What nvcc made of the kernels, on a device where there is one. */
  @ParameterizedTest
  @EnumSource
  void agreesOnADevice(Precision precision) {
    Device device = new Device(RealDevice.open(precision));
    double tolerance =
        switch (precision) {
          case FLOAT32 -> 1e-5;
          case TF32 -> 0x1p-10;
          case BF16 -> 0x1p-7;
        };
    int[][] sizes = {
      {200, 130, 8, 8, 2},
      {70, 33, 12, 16, 1},
      {65, 70, 30, 21, 1},
      {150, 130, 40, 40, 2},
      {70, 77, 64, 64, 1},
      {130, 40, 80, 72, 1},
      {40, 50, 160, 160, 2}
    };
    for (int[] s : sizes) {
      try (Scope _ = Scope.open("test")) {
        Tensor[] expected =
            run(s[4], s[2], inputs(reference, s[0], s[1], s[2] * s[4], s[3] * s[4]));
        Tensor[] got = run(s[4], s[2], inputs(device, s[0], s[1], s[2] * s[4], s[3] * s[4]));
        for (int i = 0; i < got.length; i++) {
          checkClose(Arrays.toString(s) + ", output " + i, tolerance, expected[i], got[i]);
        }
      }
    }
  }

  /** The gradients of wide heads do not fit registers at once. */
  @Test
  void dividesGradientsOfWideHeadsOrLeavesThemToFloat32() {
    List<String> cores = List.of("cores_%d", "delta", "dq_%d", "dk_dv_%d");
    check(Precision.TF32, 0x1p-11, cores, 160, 20, 50, 160, 160, 1);
    List<String> halves =
        List.of(
            "narrow",
            "halves_%d",
            "narrow",
            "halves_delta",
            "halves_dq_%d",
            "halves_dk_%d",
            "halves_dv_%d");
    check(Precision.BF16, 0x1p-7, halves, 160, 140, 70, 160, 155, 1);
  }

  private void check(
      Precision precision,
      double tolerance,
      List<String> names,
      int size,
      int tq,
      int tk,
      int d,
      int dv,
      int heads) {
    driver.launched().clear();
    try (Scope _ = Scope.open("test")) {
      Tensor[] expected = run(heads, d, inputs(reference, tq, tk, d * heads, dv * heads));
      Tensor[] got = run(heads, d, inputs(device(precision), tq, tk, d * heads, dv * heads));
      for (int i = 0; i < got.length; i++) {
        checkClose(precision + ", output " + i, tolerance, expected[i], got[i]);
      }
      assertEquals(
          names.stream().map(name -> ("attention_" + name).formatted(size)).toList(),
          driver.launched().stream().filter(name -> name.startsWith("attention")).toList());
    }
  }

  private static Tensor[] inputs(Device on, int tq, int tk, int d, int dv) {
    return Stream.of(List.of(tq, d), List.of(tk, d), List.of(tk, dv), List.of(tq, dv))
        .map(shape -> {
          SplittableRandom random = new SplittableRandom(shape.hashCode());
          int size = 2 * shape.get(0) * shape.get(1);
          double[] values = random.doubles(size, -2, 2).map(DType.BF16::round).toArray();
          return on.tensor(values, 2, shape.get(0), shape.get(1));
        })
        .toArray(Tensor[]::new);
  }

  /** y, log Σ exp, dq, dk and dv. */
  private static Tensor[] run(int heads, int d, Tensor... x) {
    double scale = 1 / Math.sqrt(d);
    Tensor[] y = Ops.applyAll(new Attention(scale, heads), x[0], x[1], x[2]);
    Tensor[] gradients =
        Ops.applyAll(new AttentionBackward(scale, heads), x[0], x[1], x[2], y[0], y[1], x[3]);
    return Stream.concat(Stream.of(y), Stream.of(gradients)).toArray(Tensor[]::new);
  }

  private static void checkClose(String what, double tolerance, Tensor expected, Tensor got) {
    double[] y = expected.toDoubles();
    double[] z = got.toDoubles();
    double largest = Arrays.stream(y).map(Math::abs).max().orElseThrow();
    for (int i = 0; i < y.length; i++) {
      assertEquals(y[i], z[i], tolerance * largest, what + ", element " + i);
    }
  }

  @Test
  void leavesWiderHeadsToProducts() {
    try (Scope _ = Scope.open("test")) {
      Tensor wide = device(Precision.FLOAT32).tensor(new double[168], 1, 1, 168);
      assertFalse(Attentions.fits(1, new Tensor[] {wide, wide, wide}));
      assertTrue(Attentions.fits(2, new Tensor[] {wide, wide, wide}));
    }
  }
}
