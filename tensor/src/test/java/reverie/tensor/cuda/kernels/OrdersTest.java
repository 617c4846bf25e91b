// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.catalog.OpCatalog;
import reverie.tensor.catalog.Sample;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.op.ElementFunction;
import reverie.tensor.op.Op;

/**
 * Runs small kernels in both orders. Larger ones run so in their own tests, which all have such a
 * driver.
 */
@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class OrdersTest {
  private static final int MAX_SIZE = 300;
  private static final int SAMPLES = 4;
  private static final int KERNELS_OF_STRIDES = 32;

  @Test
  void smallOperationsDoNotDependOnTheOrderOfThreads() {
    HostDriver driver = HostCuda.driver().inBothOrders();
    Set<String> strided = new TreeSet<>();
    try (var backend = HostCuda.backend(driver, Precision.FLOAT32)) {
      Device device = new Device(backend);
      Map<Op, Integer> samples = new HashMap<>();
      for (Sample sample : OpCatalog.samples()) {
        boolean small = sample.inputs().stream().allMatch(x -> x.shape().size() < MAX_SIZE);
        if (!small || samples.merge(sample.op(), 1, Integer::sum) > SAMPLES) {
          continue;
        }
        try (Scope _ = Scope.open("sample")) {
          Tensor[] inputs = sample.inputs(device);
          sample.run(device, inputs);
          driver.synchronize();
          if (sample.op() instanceof ElementFunction && inputs[0].shape().rank() == 2) {
            driver.launched().clear();
            Ops.apply(
                sample.op(), Stream.of(inputs).map(OrdersTest::turned).toArray(Tensor[]::new));
            strided.addAll(driver.launched());
          }
        }
      }
    }
    // Of all functions, and of what puts their operands into order.
    assertEquals(KERNELS_OF_STRIDES, strided.size(), strided.toString());
  }

  /** A matrix of the same numbers in another order in memory. */
  private static Tensor turned(Tensor x) {
    return x.shape().rank() == 2 ? x.transpose().contiguous().transpose() : x;
  }
}
