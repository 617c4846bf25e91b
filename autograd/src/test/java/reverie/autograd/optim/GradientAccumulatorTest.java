// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.invoke.MethodHandles;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.autograd.nn.AxisOrder;
import reverie.autograd.nn.Initialiser;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.debug.Profile;

/** Passes that write their gradients, and others that add them. */
class GradientAccumulatorTest {
  private final Device device = Device.reference();
  private Scope scope;
  private Parameters parameters;
  private Parameter p;

  private record Input(Tensor x) {}

  @BeforeEach
  void open() {
    scope = Scope.open("test");
    parameters = Parameters.random(device, Rng.of(3));
    p = parameters.create("p", AxisOrder.SAME, Initialiser.normal(1), 2);
  }

  @AfterEach
  void close() {
    parameters.close();
    scope.close();
  }

  /** Passes that write and passes that add, in all orders: the sum from the first to the last. */
  @Test
  void sumsAreTheSameBitsHoweverPassesAreMade() {
    Tensor x = Rng.of(7).normal(device, 3, 2, 2);
    for (int eager = 0; eager < 1 << 3; eager++) {
      try (GradientAccumulator gradients = new GradientAccumulator(List.of(p));
          var pass = pass(gradients)) {
        double[] expected = {0, 0};
        for (int step = 0; step < 2; step++) {
          gradients.clear();
          Arrays.fill(expected, 0);
          for (int k = 0; k < 3; k++) {
            Input input = new Input(x.slice(0, k, k + 1).reshape(2, 2));
            add(pass, input, (eager >> k & 1) == 1);
            double[] own = input.x.square().sum(0).mul(p.value()).toDoubles();
            Arrays.setAll(expected, i -> expected[i] + own[i]);
            if (step == 1) {
              assertArrayEquals(expected, gradients.all().toDoubles());
            }
          }
          assertArrayEquals(expected, gradients.gradient(p).toDoubles(), "eager " + eager);
        }
        gradients.clear();
        assertArrayEquals(new double[2], gradients.all().toDoubles());
      }
    }
  }

  /** Half of (x p)², whose gradient is x² p. */
  private BackwardPass<Input, BackwardPass.Nothing> pass(GradientAccumulator gradients) {
    return BackwardPass.of(
        MethodHandles.lookup(),
        device,
        gradients,
        in -> in.x.square().sum(0).mul(p.value().square()).sum().mul(0.5));
  }

  private static void add(BackwardPass<Input, ?> pass, Input input, boolean eager) {
    Interpreter how = eager ? new Profile(Interpreter.current()) : Interpreter.current();
    Interpreter.with(how, () -> pass.add(input));
  }

  /** Added to 0, a gradient of −0 is 0; written, it stays −0: that must not show. */
  @Test
  void theSignOfAZeroGradientDoesNotMatter() {
    List<double[]> ends = new ArrayList<>();
    for (boolean eager : new boolean[] {true, false}) {
      p.value().assign(new double[] {-0.0, -2});
      TrainingStep.Settings settings =
          new TrainingStep.Settings(AdamW.Options.weightDecay(0), 1, 0.5);
      try (TrainingStep step = new TrainingStep(parameters, settings);
          var pass =
              BackwardPass.of(
                  MethodHandles.lookup(),
                  device,
                  step.gradients(),
                  (Input in) -> in.x.mul(p.value()).sum())) {
        for (double other : new double[] {1, -0.0, 2}) {
          step.begin();
          add(pass, new Input(device.tensor(new double[] {-0.0, other}, 2)), eager);
          double sign = step.gradients().gradient(p).toDoubles()[0];
          assertEquals(eager ? 0.0 : -0.0, sign, "the gradient is no test");
          step.update(0.1);
        }
        step.state().tensors().values().forEach(t -> ends.add(t.toDoubles()));
      }
    }
    for (int i = 0; i < ends.size() / 2; i++) {
      assertArrayEquals(ends.get(i), ends.get(i + ends.size() / 2));
    }
  }
}
