// SPDX-License-Identifier: Apache-2.0
package reverie.autograd;

import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.catalog.OpCatalog;
import reverie.tensor.catalog.Sample;
import reverie.tensor.op.Op;

/** The gradient rule of every operation, on every differentiable sample of the catalogue. */
class OperationGradientsTest {
  @TestFactory
  Stream<DynamicTest> gradients() {
    return OpCatalog.samples().stream()
        .filter(Sample::differentiable)
        .map(sample -> DynamicTest.dynamicTest(sample.label(), () -> check(sample)));
  }

  private static void check(Sample sample) {
    Device device = Device.reference();
    try (Scope _ = Scope.open(sample.label())) {
      Op op = sample.op();
      Tensor[] inputs = sample.inputs(device);
      GradCheck.of(in -> Ops.applyAll(op, in)).check(inputs).require(1e-6);
      // Norms and attention have a faster rule where only the first output is used.
      if (op.infer(Stream.of(inputs).map(Tensor::type).toList()).size() > 1) {
        GradCheck.of(in -> new Tensor[] {Ops.apply(op, in)}).check(inputs).require(1e-6);
      }
    }
  }
}
