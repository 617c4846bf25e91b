// SPDX-License-Identifier: Apache-2.0
package reverie.examples;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static reverie.junit.GradientAssertions.assertGradients;

import org.junit.jupiter.api.Test;
import reverie.junit.GradientTest;
import reverie.tensor.Device;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** How an operation of one's own is tested: its gradient, and its kernel beside its definition. */
class MishTest {
  @GradientTest(
      value = {"5", "3x4", "2x1x3"},
      min = -4,
      max = 4)
  void theRuleIsTheGradient(Tensor x) {
    assertGradients(Mish::mish, x);
  }

  @GradientTest("4x3, 3x2")
  void itsGradientPassesThroughOthers(Tensor x, Tensor w) {
    assertGradients((a, b) -> Mish.mish(a.matmul(b)).square(), x, w);
  }

  @Test
  void theKernelGivesTheDefinition() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Device.cpu().tensor(new float[] {-80, -3, -0.5f, 0, 0.5f, 3, 80}, 7);
      float[] definition = new Mish().decompose(x)[0].toFloats();
      assertArrayEquals(definition, Mish.mish(x).toFloats(), 1e-6f);
    }
  }
}
