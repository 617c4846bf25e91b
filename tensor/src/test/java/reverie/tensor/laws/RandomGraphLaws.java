// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.laws;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import reverie.tensor.Device;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.catalog.Tolerance;
import reverie.tensor.graph.CapturedGraph;

/** The {@linkplain BackendLaws laws} about many operations after each other. */
final class RandomGraphLaws {
  private RandomGraphLaws() {}

  /** Captured as they are and with all that they make on the way. */
  static Stream<DynamicTest> replayToTheSameBits(List<Device> devices, int graphs) {
    return IntStream.range(0, graphs)
        .mapToObj(seed ->
            DynamicTest.dynamicTest(
                "seed " + seed,
                () -> {
                  for (Device on : devices) {
                    try (Scope _ = Scope.open("law")) {
                      RandomGraph graph = new RandomGraph(seed);
                      List<Tensor> all = graph.run(on);
                      Supplier<Tensor[]> last = () -> new Tensor[] {graph.run(on).getLast()};
                      try (CapturedGraph some = CapturedGraph.of(on, last);
                          CapturedGraph every =
                              CapturedGraph.of(on, () -> graph.run(on).toArray(Tensor[]::new))) {
                        some.run();
                        Agreement.checkBits("seed " + seed, List.of(all.getLast()), some.outputs());
                        every.run();
                        Agreement.checkBits("seed " + seed, all, every.outputs());
                      }
                    }
                  }
                }));
  }

  static Stream<DynamicTest> agree(Device device, int graphs) {
    return IntStream.range(0, graphs)
        .mapToObj(seed ->
            DynamicTest.dynamicTest(
                "seed " + seed,
                () -> {
                  try (Scope _ = Scope.open("law")) {
                    List<Tensor> expected = new RandomGraph(seed).run(Device.reference());
                    List<Tensor> got = new RandomGraph(seed).run(device);
                    assertEquals(expected.size(), got.size());
                    for (int i = 0; i < got.size(); i++) {
                      Agreement.with(new Tolerance.Close(1e-4, 1e-4), expected.get(i))
                          .check("tensor " + i, got.get(i));
                    }
                  }
                }));
  }
}
