// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.HostBlas;
import reverie.tensor.cuda.driver.HostDnn;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.debug.Profile;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Lerp;

@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class GraphTest {
  private final HostDriver driver = new HostDriver(1L << 30).inBothOrders();
  private final CudaBackend backend =
      new CudaBackend(driver, new HostBlas(driver), new HostDnn(driver), Precision.FLOAT32);
  private final Device device = new Device(backend);

  private static Tensor[] step(Tensor x) {
    Tensor y = x.mul(x).add(1);
    return new Tensor[] {y.exp().matmul(y)};
  }

  @Test
  void runsAsOneGraphWithOneCallAndNoWaiting() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = device.tensor(new float[] {1, 2, 3, 4}, 2, 2);
      try (CapturedGraph captured = CapturedGraph.of(device, () -> step(x))) {
        int calls = driver.calls();
        captured.run();
        assertEquals(calls + 1, driver.calls());
        assertEquals(List.of("composed"), driver.launched());
        float[] first = captured.outputs().getFirst().toFloats();
        x.assign(x.mul(0.5));
        captured.run();
        assertArrayEquals(step(x)[0].toFloats(), captured.outputs().getFirst().toFloats());
        assertTrue(first[0] > captured.outputs().getFirst().toFloats()[0]);
      }
    }
    close();
  }

  @Test
  void measuresEveryOperationByItself() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = device.tensor(new float[] {1, 2, 3, 4}, 2, 2);
      try (CapturedGraph captured = CapturedGraph.of(device, () -> step(x))) {
        Profile profile = new Profile(null);
        captured.run(profile);
        assertEquals(
            List.of("mat_mul", "mul, affine, exp"),
            profile.rows().stream().map(Profile.Row::operation).sorted().toList());
      }
    }
    close();
  }

  /** Whichever call fails: the error says so, and afterwards everything works and nothing leaks. */
  @Test
  void survivesTheFailureOfAnyCall() {
    int failures = 0;
    for (int call = 0; call < 40; call++) {
      driver.failAfter(call);
      try (Scope _ = Scope.open("test")) {
        Tensor x = device.tensor(new float[] {1, 2, 3, 4}, 2, 2);
        try (CapturedGraph captured = CapturedGraph.of(device, () -> step(x))) {
          captured.run();
          captured.outputs().getFirst().toFloats();
        }
      } catch (ReverieException failure) {
        assertTrue(failure.getMessage().contains("CUDA_ERROR_UNKNOWN"), failure.getMessage());
        failures++;
      }
      assertEquals(0, device.liveBytes(), "after the failure of call " + call);
    }
    assertTrue(failures >= 8, failures + " failures");
    driver.failAfter(-1);
    close();
  }

  /** Weights, 3×3, of which the graph wants another layout, and images. */
  private Tensor convolution(Tensor x, Tensor w) {
    return Ops.conv2d(x, w, null, 1, 1);
  }

  private Tensor filled(double scale, int... dims) {
    double[] values = new double[Math.toIntExact(Shape.of(dims).size())];
    Arrays.setAll(values, i -> scale * ((i * 7 % 11) - 5));
    return device.tensor(values, dims);
  }

  /** In whatever way the weights change, a graph that runs afterwards has them. */
  @Test
  void preparesWeightsOutsideTheGraphAndAgainWhenTheyChange() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = filled(0.1, 1, 4, 4, 4);
      Tensor w = filled(0.01, 3, 3, 4, 8);
      Tensor other = filled(-0.02, 3, 3, 4, 8);
      try (CapturedGraph captured =
              CapturedGraph.of(device, () -> new Tensor[] {convolution(x, w)});
          CapturedGraph update =
              CapturedGraph.of(
                  device,
                  () -> {
                    Ops.update(new Binary(Binary.Kind.ADD), new Tensor[] {w}, w, other);
                    return new Tensor[0];
                  })) {
        assertEquals(List.of("transpose"), launchedBy(captured::run), "before the first run");
        assertEquals(List.of(), launchedBy(captured::run), "with the same weights");
        Runnable[] changes = {
          () -> w.assign(new double[Math.toIntExact(w.size())]),
          () -> w.assign(other),
          () -> Ops.update(new Binary(Binary.Kind.ADD), new Tensor[] {w}, w, other),
          update::run,
        };
        for (Runnable change : changes) {
          float[] before = captured.outputs().getFirst().toFloats();
          change.run();
          assertEquals(List.of("transpose"), launchedBy(captured::run));
          float[] after = captured.outputs().getFirst().toFloats();
          assertArrayEquals(convolution(x, w).toFloats(), after);
          assertFalse(Arrays.equals(before, after));
        }
        // What is next to the weights is no change of them.
        x.assign(x.mul(2));
        assertEquals(List.of(), launchedBy(captured::run));
      }
    }
    close();
  }

  private List<String> launchedBy(Runnable action) {
    int before = driver.launched().size();
    action.run();
    List<String> all = driver.launched();
    return List.copyOf(all.subList(before, all.size()));
  }

  @Test
  void preparesWeightsThatTheGraphChangesInsideIt() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = filled(0.1, 1, 4, 4, 4);
      Tensor w = filled(0.01, 3, 3, 4, 8);
      try (CapturedGraph captured =
          CapturedGraph.of(
              device,
              () -> {
                Ops.update(new Binary(Binary.Kind.ADD), new Tensor[] {w}, w, w);
                return new Tensor[] {convolution(x, w)};
              })) {
        for (int i = 0; i < 2; i++) {
          assertEquals(List.of("add", "transpose"), launchedBy(captured::run));
          assertArrayEquals(convolution(x, w).toFloats(), captured.outputs().getFirst().toFloats());
        }
      }
    }
    close();
  }

  /** Tensors of all sizes, aligned and not: the same bits as one after the other. */
  @Test
  void updatesManyTensorsByOneLaunch() {
    int[] sizes = {1, 3, 4, 1000, 4096, 4097, 9001};
    try (Scope _ = Scope.open("test")) {
      Tensor control = device.tensor(new double[] {0.1, 0.5, 0.25, 2}, 4);
      Tensor weight = device.tensor(new double[] {0.25}, 1);
      Tensor[][] eager = new Tensor[sizes.length][];
      Tensor[][] replayed = new Tensor[sizes.length][];
      Tensor flat = filled(0.1, IntStream.of(sizes).sum());
      int from = 0;
      for (int i = 0; i < sizes.length; i++) {
        Tensor gradient = flat.slice(0, from, from += sizes[i]);
        eager[i] = state(sizes[i], gradient);
        replayed[i] = state(sizes[i], gradient);
      }
      AdamW op = new AdamW(0.9, 0.99, 1e-8, 0.01);
      for (Tensor[] one : eager) {
        update(op, control, weight, one);
      }
      try (CapturedGraph step =
          CapturedGraph.of(
              device,
              () -> {
                for (Tensor[] one : replayed) {
                  Ops.update(new Binary(Binary.Kind.ADD), new Tensor[] {one[2]}, one[2], one[1]);
                }
                for (Tensor[] one : replayed) {
                  Tensor[] state = {one[0], one[2], one[3]};
                  Ops.update(op, state, one[0], one[1], one[2], one[3], control);
                }
                for (Tensor[] one : replayed) {
                  Ops.update(new Lerp(), new Tensor[] {one[4]}, one[4], one[0], weight);
                }
                return new Tensor[0];
              })) {
        assertEquals(List.of("add_all", "adam_w", "lerp"), launchedBy(step::run));
      }
      for (int i = 0; i < sizes.length; i++) {
        for (int k = 0; k < eager[i].length; k++) {
          assertArrayEquals(eager[i][k].toFloats(), replayed[i][k].toFloats(), i + ", " + k);
        }
      }
    }
    close();
  }

  /** Weights, gradient, both moments and an average. */
  private Tensor[] state(int size, Tensor gradient) {
    return new Tensor[] {
      filled(1, size), gradient, filled(0.5, size), filled(0.1, size).square(), filled(2, size)
    };
  }

  private static void update(AdamW op, Tensor control, Tensor weight, Tensor... one) {
    Ops.update(new Binary(Binary.Kind.ADD), new Tensor[] {one[2]}, one[2], one[1]);
    Tensor[] state = {one[0], one[2], one[3]};
    Ops.update(op, state, one[0], one[1], one[2], one[3], control);
    Ops.update(new Lerp(), new Tensor[] {one[4]}, one[4], one[0], weight);
  }

  /** Updates of the same tensor stay one after the other. */
  @Test
  void keepsTheOrderOfUpdatesThatDependOnEachOther() {
    try (Scope _ = Scope.open("test")) {
      Tensor a = filled(1, 10);
      Tensor b = filled(2, 10);
      try (CapturedGraph step =
          CapturedGraph.of(
              device,
              () -> {
                Ops.update(new Binary(Binary.Kind.ADD), new Tensor[] {a}, a, b);
                Ops.update(new Binary(Binary.Kind.ADD), new Tensor[] {b}, b, a);
                return new Tensor[0];
              })) {
        assertEquals(List.of("add", "add"), launchedBy(step::run));
        assertArrayEquals(filled(3, 10).toFloats(), a.toFloats());
        assertArrayEquals(filled(5, 10).toFloats(), b.toFloats());
      }
    }
    close();
  }

  /** Another thread that needs new memory, or closes a graph, waits until the capture is over. */
  @Test
  void lendsMemoryToOthersOnlyAfterACapture() throws Exception {
    try (Scope _ = Scope.open("test");
        ExecutorService other = Executors.newSingleThreadExecutor()) {
      Tensor x = device.tensor(new float[] {1, 2, 3, 4}, 2, 2);
      CapturedGraph old = CapturedGraph.of(device, () -> step(x));
      List<Future<?>> began = new ArrayList<>();
      driver.onCapture(() -> {
        CountDownLatch running = new CountDownLatch(1);
        began.add(
            other.submit(() -> {
              running.countDown();
              backend.release(backend.allocate(123_456_789));
              old.close();
            }));
        try {
          running.await();
          Thread.sleep(50);
        } catch (InterruptedException e) {
          throw new AssertionError(e);
        }
      });
      try (CapturedGraph captured = CapturedGraph.of(device, () -> step(x))) {
        driver.onCapture(() -> {});
        began.getFirst().get();
        captured.run();
        assertArrayEquals(step(x)[0].toFloats(), captured.outputs().getFirst().toFloats());
      }
    }
    close();
  }

  private void close() {
    backend.synchronize();
    backend.close();
    assertEquals(0, driver.leaks());
  }

  @Test
  void refusesAnUnknownKernelByName() {
    assertThrows(ReverieException.class, () -> driver.kernel("nonsense"));
    close();
  }
}
