// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.CudaBackend;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Lerp;

/** AdamW's kernel writes weights as those want them who read them, and nobody sees old ones. */
@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class PreparedWeightsTest {
  private static final AdamW ADAM_W = new AdamW(0.9, 0.99, 1e-8, 0.01);

  private final HostDriver driver = HostCuda.driver().inBothOrders();
  private final Scope scope = Scope.detached("test");
  private CudaBackend backend;
  private Layers layers;

  private void open(Precision precision) {
    backend = HostCuda.backend(driver, precision);
    layers = new Layers(new Device(backend));
  }

  @AfterEach
  void close() {
    scope.close();
    backend.synchronize();
    backend.close();
    assertEquals(0, driver.leaks());
  }

  private Tensor normal(Device device, int... dims) {
    try (Scope _ = Scope.open("values")) {
      return scope.adopt(Rng.of(dims.length + dims[0]).normal(device, dims));
    }
  }

  /** A weight and what AdamW keeps of it. */
  private record Trained(Tensor weight, Tensor gradient, Tensor first, Tensor second) {
    void update(Tensor control) {
      Tensor[] state = {weight, first, second};
      Ops.update(ADAM_W, state, weight, gradient, first, second, control);
    }
  }

  /**
   * Layers that are one product, one of them alone too; convolutions of several squares, and odd.
   */
  private final class Layers {
    private final Tensor control;
    private final Tensor x;
    private final Tensor image;
    private final Tensor odd;
    private final Tensor query;
    private final Tensor key;
    private final Tensor wide;
    private final Tensor narrow;
    private final List<Trained> trained = new ArrayList<>();

    Layers(Device device) {
      try (Scope _ = Scope.open("values")) {
        control = scope.adopt(device.tensor(new double[] {0.1, 0.5, 0.25, 2}, 4));
      }
      x = normal(device, 4, 24);
      image = normal(device, 1, 3, 3, 8);
      odd = normal(device, 2, 3, 3, 5);
      query = normal(device, 16, 24);
      key = normal(device, 8, 24);
      wide = normal(device, 3, 3, 8, 132);
      narrow = normal(device, 3, 3, 5, 7);
      for (Tensor w : new Tensor[] {query, key, wide, narrow}) {
        int[] dims = w.shape().dims();
        trained.add(
            new Trained(
                w, normal(device, dims), normal(device, dims), positive(normal(device, dims))));
      }
    }

    private static Tensor positive(Tensor x) {
      try (Scope _ = Scope.open("values")) {
        x.assign(x.square());
      }
      return x;
    }

    Tensor[] forward() {
      return new Tensor[] {
        Ops.linear(x, query, null),
        Ops.linear(x, key, null),
        Ops.linear(x.mul(2), query, null),
        Ops.conv2d(image, wide, null, 1, 1),
        Ops.conv2d(odd, narrow, null, 1, 1),
      };
    }

    Tensor[] update() {
      trained.forEach(one -> one.update(control));
      return new Tensor[0];
    }

    CapturedGraph capture(Supplier<Tensor[]> function) {
      return CapturedGraph.of(x.device(), function);
    }
  }

  private List<String> launchedBy(Runnable action) {
    int before = driver.launched().size();
    action.run();
    List<String> all = driver.launched();
    return List.copyOf(all.subList(before, all.size()));
  }

  /** Kernels that prepare weights for a graph, which then gives what the layers give. */
  private List<String> preparing(CapturedGraph forward, String what) {
    return preparing(forward, layers::forward, what);
  }

  private List<String> preparing(CapturedGraph forward, Supplier<Tensor[]> same, String what) {
    List<String> launched = launchedBy(forward::run);
    try (Scope _ = Scope.open("expected")) {
      Tensor[] expected = same.get();
      for (int i = 0; i < expected.length; i++) {
        assertArrayEquals(
            expected[i].toFloats(), forward.outputs().get(i).toFloats(), what + ", layer " + i);
      }
    }
    return launched.stream()
        .filter(name -> name.equals("narrow_all") || name.matches("transpose(_to_bf16)?"))
        .toList();
  }

  @ParameterizedTest
  @EnumSource
  void areWrittenByAdamW(Precision precision) {
    open(precision);
    try (CapturedGraph forward = layers.capture(layers::forward);
        CapturedGraph update = layers.capture(layers::update)) {
      assertNotEquals(List.of(), preparing(forward, "at first"));
      for (int step = 0; step < 2; step++) {
        assertEquals(List.of("adam_w"), launchedBy(update::run));
        assertEquals(List.of(), preparing(forward, "step " + step));
      }
    }
  }

  /** Before a step and after it, by operations and by graphs. */
  @Test
  void followEveryOtherChange() {
    open(Precision.BF16);
    Device device = layers.x.device();
    List<Tensor> weights = layers.trained.stream().map(Trained::weight).toList();
    List<Tensor> others = weights.stream().map(w -> normal(device, w.shape().dims())).toList();
    Tensor half;
    try (Scope _ = Scope.open("values")) {
      half = scope.adopt(device.tensor(new double[] {0.5}, 1));
    }
    try (CapturedGraph forward = layers.capture(layers::forward);
        CapturedGraph update = layers.capture(layers::update);
        CapturedGraph average =
            layers.capture(() -> {
              for (int i = 0; i < others.size(); i++) {
                Tensor w = weights.get(i);
                Ops.update(new Lerp(), new Tensor[] {w}, w, others.get(i), half);
              }
              return new Tensor[0];
            });
        CapturedGraph more =
            layers.capture(() -> {
              layers.update();
              weights.forEach(w -> Ops.update(new Binary(Binary.Kind.ADD), new Tensor[] {w}, w, w));
              return new Tensor[0];
            });
        CapturedGraph some =
            layers.capture(() -> {
              layers.trained.getFirst().update(layers.control);
              return new Tensor[0];
            })) {
      List<Runnable> changes =
          List.of(
              () -> weights.forEach(w -> w.assign(w.mul(0.5))),
              () -> weights.forEach(w -> w.assign(w.toDoubles().clone())),
              () -> weights.forEach(w -> w.assign(new double[Math.toIntExact(w.size())])),
              () -> layers.key.slice(0, 1, 2).assign(layers.key.slice(0, 0, 1).add(1)),
              layers::update,
              average::run,
              more::run,
              some::run);
      update.run();
      for (int i = 0; i < changes.size(); i++) {
        try (Scope _ = Scope.open("change")) {
          changes.get(i).run();
          preparing(forward, "after change " + i);
          changes.get(i).run();
          update.run();
          preparing(forward, "after change " + i + " and a step");
          update.run();
          changes.get(i).run();
          some.run();
          preparing(forward, "after change " + i + " and a step of one weight");
        }
      }
    }
  }

  /** Graphs end, others begin, and what was prepared for them is somebody else's memory. */
  @Test
  void areWrittenForTheGraphsThatThereAre() {
    open(Precision.BF16);
    Device device = layers.x.device();
    try (CapturedGraph update = layers.capture(layers::update)) {
      update.run();
      for (int round = 0; round < 2; round++) {
        try (CapturedGraph forward = layers.capture(layers::forward)) {
          assertTrue(preparing(forward, "round " + round).contains("narrow_all"));
          update.run();
          assertEquals(List.of(), preparing(forward, "round " + round));
          Supplier<Tensor[]> other = () -> new Tensor[] {Ops.linear(layers.x, layers.key, null)};
          try (CapturedGraph second = layers.capture(other)) {
            update.run();
            assertEquals(List.of(), preparing(second, other, "another, round " + round));
          }
          update.run();
          assertEquals(List.of(), preparing(forward, "without the other, round " + round));
        }
        try (Scope _ = Scope.open("memory")) {
          // Of all sizes, so that what was freed is among them.
          List<Tensor> filled =
              IntStream.range(0, 480).mapToObj(i -> device.full(7, 64 * (1 + i / 4))).toList();
          assertEquals(List.of("adam_w"), launchedBy(update::run));
          for (Tensor t : filled) {
            float[] sevens = new float[Math.toIntExact(t.size())];
            Arrays.fill(sevens, 7);
            assertArrayEquals(sevens, t.toFloats());
          }
        }
      }
    }
  }
}
