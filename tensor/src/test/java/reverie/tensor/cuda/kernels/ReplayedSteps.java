// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.CudaBackend;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.Dnn;
import reverie.tensor.cuda.driver.HostBlas;
import reverie.tensor.cuda.driver.HostDnn;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.graph.CapturedGraph;

/** Captured steps in bfloat16 mode: the same bits as operation by operation, by fewer launches. */
abstract class ReplayedSteps {
  private final HostDriver driver = HostCuda.driver().inBothOrders();

  /** Attention that cuDNN was asked for. */
  final List<Dnn.Attention> asked = new ArrayList<>();

  private final CudaBackend backend;
  final Device device;
  private final Scope scope = Scope.detached("test");
  private Rng rng = Rng.of(1);

  ReplayedSteps() {
    this(false);
  }

  /**
   * Steps on a device of their own.
   *
   * @param attends whether cuDNN computes attention
   */
  ReplayedSteps(boolean attends) {
    HostDnn dnn = new HostDnn(driver, a -> attends && asked.add(a));
    backend = new CudaBackend(driver, new HostBlas(driver), dnn, Precision.BF16);
    device = new Device(backend);
  }

  @AfterEach
  void close() {
    scope.close();
    backend.synchronize();
    backend.close();
    assertEquals(0, driver.leaks());
  }

  Tensor normal(int... dims) {
    rng = rng.fork("next");
    try (Scope _ = Scope.open("values")) {
      return scope.adopt(rng.normal(device, dims).mul(0.5));
    }
  }

  /** Kernels of a replay, whose results have the bits of the function itself. */
  List<String> replayed(Supplier<Tensor[]> function) {
    try (Scope _ = Scope.open("replayed");
        CapturedGraph step = CapturedGraph.of(device, function)) {
      step.run();
      int before = driver.launched().size();
      step.run();
      List<String> launched =
          List.copyOf(driver.launched().subList(before, driver.launched().size()));
      Tensor[] expected = function.get();
      for (int i = 0; i < expected.length; i++) {
        assertArrayEquals(expected[i].toFloats(), step.outputs().get(i).toFloats(), "output " + i);
      }
      return launched;
    }
  }

  List<String> replayedOne(Supplier<Tensor> function) {
    return replayed(() -> new Tensor[] {function.get()});
  }
}
