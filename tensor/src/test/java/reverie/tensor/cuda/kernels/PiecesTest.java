// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.CudaBackend;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.HostBlas;
import reverie.tensor.cuda.driver.HostDnn;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.op.EuclideanNorm;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.GaussianLogProb;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNorm.Activation;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.LayerNormBackward;
import reverie.tensor.op.Op;
import reverie.tensor.op.Reduce;
import reverie.tensor.op.Softmax;
import reverie.tensor.op.SoftmaxBackward;

/** Reductions and norms of sizes that are cut into pieces: the samples of the laws are smaller. */
@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class PiecesTest {
  /** A mean of normal numbers may be next to nothing, unlike its rounding. */
  private static final double NEARLY_ZERO = 0.1;

  private final HostDriver driver = new HostDriver(1L << 30).inBothOrders();
  private final CudaBackend backend =
      new CudaBackend(driver, new HostBlas(driver), new HostDnn(driver), Precision.FLOAT32);
  private final Device device = new Device(backend);
  private final RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(1);

  @AfterEach
  void close() {
    backend.close();
  }

  /** Float32 numbers and their dimensions. */
  private record Values(double[] values, int... dims) {
    Values with(int index, double value) {
      double[] changed = values.clone();
      changed[index] = value;
      return new Values(changed, dims);
    }

    /** On a device, so many elements after an aligned address. */
    Tensor on(Device device, int offset) {
      double[] shifted = new double[values.length + offset];
      System.arraycopy(values, 0, shifted, offset, values.length);
      return device.tensor(shifted, shifted.length).slice(0, offset, shifted.length).reshape(dims);
    }
  }

  private Values normal(int... dims) {
    return shifted(0, dims);
  }

  private Values shifted(double mean, int... dims) {
    int size = Arrays.stream(dims).reduce(1, (a, b) -> a * b);
    return new Values(
        random.doubles(size).map(_ -> (float) (mean + random.nextGaussian())).toArray(), dims);
  }

  private Values positive(int... dims) {
    Values normal = normal(dims);
    return new Values(
        Arrays.stream(normal.values).map(v -> (float) (0.5 + Math.abs(v))).toArray(), dims);
  }

  /**
   * Compares with the reference, relative to the largest of an output; addresses that are not
   * aligned must give the same bits.
   */
  private List<String> check(double tolerance, Op op, Values... inputs) {
    try (Scope _ = Scope.open("check")) {
      int before = driver.launched().size();
      double[][] got = run(op, device, 0, inputs);
      List<String> launched =
          List.copyOf(driver.launched().subList(before, driver.launched().size()));
      double[][] expected = run(op, Device.reference(), 0, inputs);
      double[][] elsewhere = run(op, device, 1, inputs);
      for (int output = 0; output < expected.length; output++) {
        assertArrayEquals(got[output], elsewhere[output], op + " at other addresses");
        double largest = Arrays.stream(expected[output]).map(Math::abs).max().orElseThrow();
        double bound = tolerance * Math.max(largest, NEARLY_ZERO);
        for (int i = 0; i < expected[output].length; i++) {
          double error = Math.abs(expected[output][i] - got[output][i]);
          assertTrue(
              error <= bound, op + ": output " + output + " at " + i + " is off by " + error);
        }
      }
      return launched;
    }
  }

  private static double[][] run(Op op, Device on, int offset, Values... inputs) {
    Tensor[] tensors = Stream.of(inputs).map(v -> v.on(on, offset)).toArray(Tensor[]::new);
    return Stream.of(Ops.applyAll(op, tensors)).map(Tensor::toDoubles).toArray(double[][]::new);
  }

  @ParameterizedTest
  @EnumSource(Reduce.Kind.class)
  void reducesLongRowsAndColumnsInTwoSteps(Reduce.Kind kind) {
    String name = kind.name().toLowerCase(java.util.Locale.ROOT);
    for (int count : new int[] {20_000, 20_003}) {
      List<String> launched = check(1e-5, new Reduce(kind, 1), normal(3, count));
      assertEquals(List.of(name + "_rows", name + "_rows"), launched);
    }
    for (int inner : new int[] {64, 61, 68, 3}) {
      int rows = inner == 3 ? 10_000 : 1000;
      List<String> launched = check(1e-5, new Reduce(kind, 1), normal(2, rows, inner));
      assertEquals(List.of(name + "_columns", name + "_columns"), launched);
    }
  }

  @ParameterizedTest
  @EnumSource(Reduce.Kind.class)
  void reducesMixedAxesOneAfterTheOther(Reduce.Kind kind) {
    String name = kind.name().toLowerCase(java.util.Locale.ROOT);
    List<String> launched = check(1e-5, new Reduce(kind, 0, 2, 4), normal(40, 5, 7, 9, 3));
    assertEquals(List.of(name + "_rows", name + "_columns", name + "_columns"), launched);
    check(1e-5, new Reduce(kind, 1, 3), normal(2, 3, 1, 1500));
    check(1e-5, new Reduce(kind, 1), normal(2, 1, 7));
  }

  @Test
  void sharesRowsOfEveryLengthAmongThreads() {
    for (int count : new int[] {1, 2, 9, 31, 64, 130, 1023, 1024, 1025, 3001}) {
      check(1e-5, new Softmax(), normal(9, count));
      check(1e-5, new SoftmaxBackward(), positive(9, count), normal(9, count));
      check(1e-5, new Reduce(Reduce.Kind.SUM, 1), positive(9, count));
    }
  }

  @Test
  void measuresTheLengthOfAllElementsByOneLaunch() {
    for (int count : new int[] {0, 1, 900, 4095, 8192, 60_000, 60_007}) {
      List<String> launched = check(1e-6, new EuclideanNorm(), normal(count));
      assertEquals(List.of("euclidean_norm"), launched);
    }
  }

  @Test
  void addsTheFirstBiasOfAFeedForwardNetworkWhereItGates() {
    for (int c : new int[] {8, 6, 7}) {
      List<String> launched =
          check(
              1e-5,
              new FeedForward(),
              normal(9, 8),
              normal(2 * c, 8),
              normal(2 * c),
              normal(5, c),
              normal(5),
              normal(9, 5));
      assertEquals(List.of("geglu", "epilogue"), launched);
    }
  }

  @Test
  void cutsSamplesIntoPieces() {
    check(1e-5, new GaussianLogProb(), normal(2, 10_001), normal(2, 10_001), positive(2));
  }

  @ParameterizedTest
  @EnumSource(Activation.class)
  void normalisesImagesAtOnceAndInPieces(Activation activation) {
    int[][] sizes = {
      {32, 64, 8},
      {32, 68, 4},
      {32, 37, 1},
      {33, 40, 40},
      {47, 32, 4},
      {70, 3, 1},
      {9, 132, 2},
      {3, 40, 8},
      {5, 96, 32}
    };
    for (int[] size : sizes) {
      int side = size[0];
      int c = size[1];
      int groups = size[2];
      Values x = normal(2, side, side, c);
      check(5e-6, new GroupNorm(groups, 1e-5, activation), x, normal(c), normal(c));
      check(
          1e-5,
          new GroupNormBackward(groups, activation),
          x,
          normal(c),
          normal(c),
          normal(2, groups),
          positive(2, groups),
          normal(2, side, side, c));
    }
    assertTrue(driver.launched().contains("group_norm_at_once"));
    assertTrue(driver.launched().contains("group_statistics"));
    assertTrue(driver.launched().contains("group_norm_gradient_at_once"));
    assertTrue(driver.launched().contains("group_norm_gradient_means"));
  }

  @Test
  void keepsTheVarianceOfNumbersFarFromZeroAndOfOutliers() {
    for (int side : new int[] {32, 40}) {
      Values x = shifted(1000, 2, side, side, 64);
      check(1e-4, new GroupNorm(8, 1e-5), x, normal(64), normal(64));
      for (int place : new int[] {0, 64, 512 * 64 + 5}) {
        check(1e-4, new GroupNorm(8, 1e-5), x.with(place, 0), normal(64), normal(64));
      }
    }
  }

  @Test
  void normalisesRowsOfEveryLength() {
    for (int c : new int[] {1, 6, 64, 1024, 1500}) {
      check(5e-6, new LayerNorm(1e-5), normal(7, c), normal(c), normal(c));
    }
    check(1e-4, new LayerNorm(1e-5), shifted(1000, 3, 1200), normal(1200), normal(1200));
  }

  @Test
  void addsUpTheGradientsOfManyRowsInPieces() {
    for (int c : new int[] {64, 61, 1500, 1501}) {
      int rows = c > 1000 ? 40 : 1100;
      check(
          1e-5,
          new LayerNormBackward(),
          normal(rows, c),
          normal(c),
          normal(rows),
          positive(rows),
          normal(rows, c));
    }
  }
}
