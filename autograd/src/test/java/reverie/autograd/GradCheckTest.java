// SPDX-License-Identifier: Apache-2.0
package reverie.autograd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.op.CustomOp;

class GradCheckTest {
  /** A user's operation: x³ by its definition alone. */
  private record Cube() implements CustomOp {
    @Override
    public List<TensorType> infer(List<TensorType> inputs) {
      return inputs;
    }

    @Override
    public Tensor[] decompose(Tensor... inputs) {
      return new Tensor[] {inputs[0].square().mul(inputs[0])};
    }
  }

  @Test
  void differentiatesACustomOperationThroughItsDefinition() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(3).normal(Device.reference(), 2, 5);
      GradCheck.of(in -> reverie.tensor.Ops.applyAll(new Cube(), in)).check(x).require(1e-9);
    }
  }

  @Test
  void findsAWrongGradient() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(3).normal(Device.reference(), 2, 5);
      // detach() hides half of the derivative of x².
      GradCheck.Report report =
          GradCheck.of(in -> new Tensor[] {in[0].mul(in[0].detach())}).check(x);
      assertTrue(report.worst() > 0.1, report.toString());
      assertThrows(ReverieException.class, () -> report.require(1e-6));
    }
  }

  /** Whichever way it is wrong. */
  @ParameterizedTest
  @ValueSource(doubles = {2, -2})
  void findsAGradientThatIsTooSmallOrTooLarge(double at) {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Device.reference().tensor(new double[] {at}, 1);
      GradCheck check = GradCheck.of(in -> new Tensor[] {in[0].mul(in[0].detach())});
      assertTrue(check.check(x).worst() > 0.1);
    }
  }

  /** Of a large tensor some are tried, and not the first ones alone. */
  @Test
  void elementsAreTakenFromEverywhere() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(1).normal(Device.reference(), 1000);
      GradCheck check =
          GradCheck.of(in -> {
            Tensor first = in[0].slice(0, 0, 64).square();
            return new Tensor[] {Ops.concat(0, first, in[0].slice(0, 64, 1000).detach().square())};
          });
      assertTrue(check.check(x).worst() > 0.1);
    }
  }

  @Test
  void namesTheWorstElementByItsIndex() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Device.reference().tensor(new double[] {1, 1, 1, 1, 5, 1}, 2, 3);
      // The derivative of x² without one half: wrong by x, so most of all where x is 5.
      GradCheck.Report report =
          GradCheck.of(in -> new Tensor[] {in[0].mul(in[0].detach())}).check(x);
      assertEquals(List.of(1, 1), report.rows().getFirst().index());
      assertTrue(report.toString().contains("[1, 1]"), report.toString());
    }
  }

  @Test
  void anUndefinedDerivativeIsNoAgreement() {
    try (Scope _ = Scope.open("test")) {
      // The logarithm of a number below 0, at one element of eight.
      Tensor x = Device.reference().tensor(new double[] {1, 2, 3, 1e-4, 5, 6, 7, 8}, 8);
      GradCheck.Report report = GradCheck.of(in -> new Tensor[] {in[0].log()}).check(x);
      assertTrue(Double.isNaN(report.worst()), report.toString());
      assertThrows(ReverieException.class, () -> report.require(1e-6));
    }
  }

  @Test
  void saysThatInputsBelongOnTheReferenceDevice() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Device.cpu().full(1, 2, 5);
      ReverieException e =
          assertThrows(
              ReverieException.class,
              () -> GradCheck.of(in -> new Tensor[] {in[0].square()}).check(x));
      assertTrue(
          e.getMessage()
              .startsWith(
                  "gradcheck: expected inputs on the reference device, got input 0 F32[2, 5] on cpu"),
          e.getMessage());
    }
  }
}
