// SPDX-License-Identifier: Apache-2.0
package reverie.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;
import static reverie.junit.GradientAssertions.assertGradients;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.testkit.engine.EngineExecutionResults;
import org.junit.platform.testkit.engine.EngineTestKit;
import reverie.autograd.GradCheck;
import reverie.tensor.Device;
import reverie.tensor.Tensor;

class GradientTestTest {
  @GradientTest({"4x3, 3x2", "1x7, 7x1"})
  void aProductAndItsActivation(Tensor x, Tensor w) {
    assertGradients((a, b) -> a.matmul(b).silu(), x, w);
  }

  @GradientTest(
      value = {"5", "2x2", ""},
      min = 0.5,
      max = 2)
  void aFunctionOfPositiveNumbers(Tensor x) {
    assertTrue(x.toDoubles()[0] >= 0.5);
    assertGradients(a -> a.log().mul(a.sqrt()), x);
  }

  @GradientTest("2, 2, 2")
  void manyInputsAndOutputsBesideOtherParameters(TestInfo info, Tensor x, Tensor y, Tensor z) {
    assertEquals("[[2], [2], [2]]", info.getDisplayName());
    assertGradients(
        in -> new Tensor[] {in[0].mul(in[1]), in[1].mul(in[2])}, new Tensor[] {x, y, z});
  }

  @GradientTest("3x3")
  void stepsElementsAndToleranceOfOnesOwn(Tensor x) {
    GradCheck check = GradCheck.of(in -> new Tensor[] {in[0].exp()}).stepSize(1e-2).mostElements(2);
    assertGradients(check, 1e-4, x);
  }

  /** Tests that must fail; run by the ones below, not by themselves. */
  static class Wrong {
    @GradientTest("2x3")
    void gradient(Tensor x) {
      // detach() hides half of the derivative of x².
      assertGradients(a -> a.mul(a.detach()), x);
    }

    @GradientTest("2x3")
    void tooFewShapes(Tensor x, Tensor y) {
      assertGradients((a, b) -> a.mul(b), x, y);
    }

    @GradientTest("2*3")
    void unreadableShape(Tensor x) {
      assertGradients(Tensor::square, x);
    }

    @GradientTest({})
    void noShapes(Tensor x) {
      assertGradients(Tensor::square, x);
    }
  }

  private static String failure(String method) {
    EngineExecutionResults results =
        EngineTestKit.engine("junit-jupiter").selectors(selectClass(Wrong.class)).execute();
    List<String> messages =
        results.allEvents().failed().stream()
            .filter(e -> e.getTestDescriptor().getUniqueId().toString().contains(method))
            .map(e -> e.getRequiredPayload(TestExecutionResult.class).getThrowable().orElseThrow())
            .map(Throwable::getMessage)
            .toList();
    assertEquals(1, messages.size(), messages::toString);
    return messages.getFirst();
  }

  @Test
  void aWrongGradientFailsWithItsWorstElement() {
    String message = failure("gradient");
    assertTrue(
        message.startsWith("expected gradients that agree with finite differences"), message);
    assertTrue(message.contains("[2, 3]"), message);
  }

  @Test
  void unusableShapesAreExplained() {
    assertTrue(
        failure("tooFewShapes")
            .contains("expected shapes of 2 tensors separated by commas, got \"2x3\""));
    assertTrue(failure("unreadableShape").contains("expected a shape such as 4x3, got \"2*3\""));
    assertTrue(failure("noShapes").contains("at least one list of shapes"));
  }

  @Test
  void tensorsAreFreedAfterEachTest() {
    long before = Device.reference().liveBytes();
    EngineTestKit.engine("junit-jupiter").selectors(selectClass(Wrong.class)).execute();
    assertEquals(before, Device.reference().liveBytes());
  }
}
