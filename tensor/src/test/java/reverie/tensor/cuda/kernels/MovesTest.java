// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.CudaBackend;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.HostBlas;
import reverie.tensor.cuda.driver.HostDnn;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Pool;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.op.AveragePool;
import reverie.tensor.op.Concat;
import reverie.tensor.op.Embedding;
import reverie.tensor.op.Op;
import reverie.tensor.op.Pad;
import reverie.tensor.op.RandomNormal;
import reverie.tensor.op.ScatterRows;
import reverie.tensor.op.UpsampleNearest;

/** Sizes and alignments that the samples of the laws do not have. */
@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class MovesTest {
  private final HostDriver driver = new HostDriver(1L << 28).inBothOrders();
  private final CudaBackend backend =
      new CudaBackend(driver, new HostBlas(driver), new HostDnn(driver), Precision.FLOAT32);
  private final Device device = new Device(backend);
  private final Device reference = Device.reference();

  @AfterEach
  void close() {
    backend.close();
  }

  private Kernels kernels() {
    return new Kernels(driver, new Rehearsal(new Pool(driver, driver)));
  }

  @Test
  void transposesSeveralTiles() {
    int rows = 70;
    int columns = 45;
    long from = driver.allocate(4 * rows * columns);
    long to = driver.allocate(4 * rows * columns);
    HostDriver.poison(to, 4 * rows * columns);
    IntStream.range(0, rows * columns).forEach(i -> HostDriver.set(from, i, i));
    new Moves(kernels()).transpose(from, to, rows, columns, false);
    driver.synchronize();
    for (int i = 0; i < rows * columns; i++) {
      assertEquals(i % rows * columns + i / rows, HostDriver.get(to, i));
    }
  }

  @Test
  void transposesToBfloat16AndBack() {
    long from = driver.allocate(4 * 6);
    long to = driver.allocate(2 * 6);
    long back = driver.allocate(4 * 6);
    IntStream.range(0, 6).forEach(i -> HostDriver.set(from, i, 1 + i * 0x1p-8));
    Moves moves = new Moves(kernels());
    moves.transpose(from, to, 2, 3, true);
    moves.transposeHalves(to, back, 3, 2);
    driver.synchronize();
    for (int i = 0; i < 6; i++) {
      double value = DType.BF16.round(1 + (i % 2 * 3 + i / 2) * 0x1p-8);
      assertEquals(value, HostDriver.getHalf(to, i));
      assertEquals(DType.BF16.round(1 + i * 0x1p-8), HostDriver.get(back, i));
    }
  }

  @Test
  void narrowsToTheNearestAndWidensExactly() {
    float[] values = {
      1,
      -0f,
      0x1.01p0f,
      0x1.03p0f,
      0x1.010002p0f,
      Float.MAX_VALUE,
      Float.NEGATIVE_INFINITY,
      Float.NaN,
      Float.intBitsToFloat(0x7f800001),
      Float.MIN_VALUE,
      0x1.fep-127f
    };
    Moves moves = new Moves(kernels());
    for (int offset : new int[] {0, 1}) {
      long wide = driver.allocate(128) + 4L * offset;
      long narrow = driver.allocate(128) + 2L * offset;
      long back = driver.allocate(128) + 4L * offset;
      HostDriver.poison(back, 64);
      for (int i = 0; i < values.length; i++) {
        HostDriver.set(wide, i, values[i]);
      }
      moves.narrow(wide, narrow, values.length);
      moves.widen(narrow, back, values.length);
      driver.synchronize();
      for (int i = 0; i < values.length; i++) {
        float expected = Float.intBitsToFloat(DType.bf16Bits(values[i]) << 16);
        assertEquals(expected, HostDriver.get(back, i), "offset " + offset + ", element " + i);
      }
      assertTrue(Float.isNaN(HostDriver.get(back, values.length)), "wrote too far");
    }
  }

  /** Runs an operation on elements 0, 1, 2… on both devices. */
  private void checkSame(String kernel, Op op, Shape... shapes) {
    checkSame(kernel, op, new int[0], shapes);
  }

  private void checkSame(String kernel, Op op, int[] indices, Shape... shapes) {
    try (Scope _ = Scope.open("test")) {
      Tensor got = Interpreter.current().apply(device, op, inputs(device, indices, shapes))[0];
      Tensor expected =
          Interpreter.current().apply(reference, op, inputs(reference, indices, shapes))[0];
      assertTrue(driver.launched().contains(kernel), kernel + " in " + driver.launched());
      assertArrayEquals(expected.toDoubles(), got.toDoubles(), 4e-6, op.toString());
    }
  }

  private static Tensor[] inputs(Device on, int[] indices, Shape... shapes) {
    Tensor[] inputs = new Tensor[shapes.length + (indices.length > 0 ? 1 : 0)];
    for (int i = 0; i < shapes.length; i++) {
      double[] values = IntStream.range(0, (int) shapes[i].size()).asDoubleStream().toArray();
      inputs[i] = on.tensor(values, shapes[i].dims());
    }
    if (indices.length > 0) {
      inputs[shapes.length] = on.indices(indices, indices.length);
    }
    return inputs;
  }

  @Test
  void movesFourElementsAtOnce() {
    checkSame("concat_fours", new Concat(1), Shape.of(3, 2, 4), Shape.of(3, 5, 4));
    checkSame("place_fours", new Pad(1, 2, 1), Shape.of(3, 5, 8));
    checkSame("average_pool_fours", new AveragePool(3), Shape.of(2, 6, 9, 8));
    checkSame("upsample_fours", new UpsampleNearest(3), Shape.of(2, 5, 3, 8));
    int[] indices = {4, -1, 0, 4, 5};
    Op embedding = new Embedding();
    checkSame("embedding_fours", embedding, indices, Shape.of(5, 12));
  }

  @Test
  void addsRowsUpOverMoreIndicesAndColumnsThanABlockHasThreads() {
    int[] indices = IntStream.range(0, 700).map(i -> i * i % 11 - 1).toArray();
    Op op = new ScatterRows(9);
    checkSame("scatter_rows", op, indices, Shape.of(700, 2));
    int[] few = {2, 0, 2};
    checkSame("scatter_rows", op, few, Shape.of(3, 300));
  }

  @Test
  void drawsMoreRowsThanFitIntoALaunch() {
    for (int length : List.of(6, 8)) {
      int rows = 101;
      long[] seeds = IntStream.range(0, rows).mapToLong(i -> (long) i << 40 | i).toArray();
      long[] streams = IntStream.range(0, rows).mapToLong(i -> -7L * i).toArray();
      Shape shape = Shape.of(rows, length);
      checkSame("random_normal", new RandomNormal(seeds, streams, shape));
    }
    assertEquals(6, driver.launched().size());
  }
}
