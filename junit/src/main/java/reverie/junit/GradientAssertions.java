// SPDX-License-Identifier: Apache-2.0
package reverie.junit;

import java.util.function.BinaryOperator;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.opentest4j.AssertionFailedError;
import reverie.autograd.GradCheck;
import reverie.tensor.Device;
import reverie.tensor.Tensor;

/**
 * Compares the gradients of a function of tensors with finite differences in float64.
 *
 * <pre>{@code
 * assertGradients((x, w) -> x.matmul(w).silu(), x, w);
 * }</pre>
 *
 * Inputs are float64 tensors on the {@linkplain Device#reference() reference device}; a {@link
 * GradientTest} makes them. The function must be smooth within 2e-3 of its inputs: keep those of
 * {@code relu} or {@code abs} away from 0. All elements of all outputs and up to 64 elements of
 * each input take part; see {@link GradCheck} for the method.
 */
public final class GradientAssertions {
  /** The largest relative error that the short forms accept. */
  public static final double TOLERANCE = 1e-6;

  private GradientAssertions() {}

  /** Checks the gradient of a function of one tensor. */
  public static void assertGradients(UnaryOperator<Tensor> function, Tensor x) {
    assertGradients(in -> new Tensor[] {function.apply(in[0])}, new Tensor[] {x});
  }

  /** Checks both gradients of a function of two tensors. */
  public static void assertGradients(BinaryOperator<Tensor> function, Tensor x, Tensor y) {
    assertGradients(in -> new Tensor[] {function.apply(in[0], in[1])}, new Tensor[] {x, y});
  }

  /** Checks all gradients of a function with any number of inputs and outputs. */
  public static void assertGradients(Function<Tensor[], Tensor[]> function, Tensor[] inputs) {
    assertGradients(GradCheck.of(function), TOLERANCE, inputs);
  }

  /**
   * Checks with settings of your own: step size, number of elements, tolerance.
   *
   * @param tolerance the largest |analytic − numeric| relative to the largest gradient of an input
   * @throws AssertionFailedError with the worst element of every input if one exceeds it
   */
  public static void assertGradients(GradCheck check, double tolerance, Tensor... inputs) {
    GradCheck.Report report = check.check(inputs);
    if (!(report.worst() <= tolerance)) {
      throw new AssertionFailedError(
          "expected gradients that agree with finite differences within "
              + tolerance
              + ", got:\n"
              + report);
    }
  }
}
