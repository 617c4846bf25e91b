// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.invoke.MethodHandles;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.autograd.nn.AxisOrder;
import reverie.autograd.nn.Initialiser;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.tensor.CaptureException;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.debug.Profile;
import reverie.tensor.graph.CapturedGraph;

class OptimTest {
  private final Device device = Device.reference();
  private Scope scope;
  private Parameters parameters;
  private Parameter p;
  private Parameter q;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
    parameters = Parameters.random(device, Rng.of(3));
    p = parameters.create("p", AxisOrder.SAME, Initialiser.normal(1), 2);
    q = parameters.create("q", AxisOrder.SAME, Initialiser.ones(), 1, 3);
    set(p, 1, -2);
  }

  @AfterEach
  void close() {
    parameters.close();
    scope.close();
  }

  @Test
  void adamWFollowsTheFormula() {
    double lr = 0.1;
    double decay = 0.01;
    double b1 = 0.9;
    double b2 = 0.999;
    double[] gradients = {0.5, -0.25, 2};
    double value = 1;
    double m = 0;
    double v = 0;
    try (AdamW adam = new AdamW(List.of(p), AdamW.Options.weightDecay(decay))) {
      for (int t = 1; t <= 3; t++) {
        double g = gradients[t - 1] * 0.5;
        m = b1 * m + (1 - b1) * g;
        v = b2 * v + (1 - b2) * g * g;
        double corrected =
            m / (1 - Math.pow(b1, t)) / (Math.sqrt(v / (1 - Math.pow(b2, t))) + 1e-8);
        value -= lr * (corrected + decay * value);
        Tensor gradient = device.tensor(new double[] {gradients[t - 1], 0}, 2);
        adam.step(_ -> gradient, lr, 0.5);
        assertEquals(value, p.value().toDoubles()[0], 1e-14);
      }
      assertEquals(-2 * Math.pow(1 - lr * decay, 3), p.value().toDoubles()[1], 1e-14);
      assertEquals(3, adam.steps());
    }
  }

  @Test
  void theFirstStepIsAsLongAsTheRate() {
    try (AdamW adam = new AdamW(List.of(p), AdamW.Options.weightDecay(0))) {
      Tensor gradient = device.tensor(new double[] {1000, -1e-3}, 2);
      adam.step(_ -> gradient, 0.125, 1);
      assertArrayEquals(new double[] {0.875, -1.875}, p.value().toDoubles(), 1e-5);
    }
  }

  @Test
  void aRestoredOptimizerGoesOnWithTheSameBits() {
    Tensor gradient = device.tensor(new double[] {0.3, -0.7}, 2);
    double[] through;
    try (AdamW adam = new AdamW(List.of(p), AdamW.Options.weightDecay(0.1))) {
      adam.step(_ -> gradient, 0.1, 1);
      Tensor halfway = device.zeros(2);
      halfway.assign(p.value());
      Map<String, Tensor> saved = new TreeMap<>();
      adam.state()
          .forEach((name, t) -> {
            Tensor copy = device.zeros(t.shape().dims());
            copy.assign(t);
            saved.put(name, copy);
          });
      adam.step(_ -> gradient, 0.1, 1);
      through = p.value().toDoubles();
      p.value().assign(halfway);
      try (AdamW resumed = new AdamW(List.of(p), AdamW.Options.weightDecay(0.1))) {
        resumed.restore(saved, 1);
        resumed.step(_ -> gradient, 0.1, 1);
      }
      assertArrayEquals(through, p.value().toDoubles());
      try (AdamW other = new AdamW(List.of(q), AdamW.Options.weightDecay(0.1))) {
        ReverieException e = assertThrows(ReverieException.class, () -> other.restore(saved, 1));
        assertTrue(e.getMessage().contains("first_moment.q"), e.getMessage());
      }
    }
  }

  private record Input(Tensor x) {}

  private record Each(Tensor values) {}

  @Test
  void gradientsOfSeveralPassesAreSummed() {
    try (GradientAccumulator sum = new GradientAccumulator(List.of(p, q));
        var pass =
            new BackwardPass<>(
                MethodHandles.lookup(),
                device,
                sum,
                (Input in) -> {
                  Tensor each = p.value().square().sum().add(q.value().sum()).mul(in.x);
                  return new BackwardPass.Loss<>(each.sum(), new Each(each));
                })) {
      for (int i = 0; i < 2; i++) {
        BackwardPass.Loss<Each> loss =
            pass.add(new Input(device.tensor(new double[] {0.25, 0.75}, 2)));
        assertArrayEquals(
            new double[] {loss.sum().item() / 4, loss.sum().item() * 3 / 4},
            loss.samples().values().toDoubles(),
            1e-15);
      }
      CaptureException early =
          assertThrows(
              CaptureException.class,
              () -> CapturedGraph.of(device, () -> new Tensor[] {sum.norm()}));
      assertTrue(early.getMessage().contains("before it was complete"), early.getMessage());
      assertArrayEquals(new double[] {4, -8}, sum.gradient(p).toDoubles());
      assertArrayEquals(new double[] {2, 2, 2}, sum.gradient(q).toDoubles());
      assertEquals(q.shape(), sum.gradient(q).shape());
      assertEquals(Math.sqrt(16 + 64 + 12), sum.norm().item(), 1e-12);
      sum.clear();
      assertEquals(0, sum.norm().item());
    }
  }

  @Test
  void aNormThatIsNoNumberNamesTheParameter() {
    set(p, 1, 0);
    TrainingStep.Settings settings = new TrainingStep.Settings(AdamW.Options.weightDecay(0), 1, 0);
    try (TrainingStep step = new TrainingStep(parameters, settings);
        var pass =
            BackwardPass.of(
                MethodHandles.lookup(),
                device,
                step.gradients(),
                (Input in) -> p.value().log().sum().add(q.value().sum()).mul(in.x).sum())) {
      pass.add(new Input(device.full(1, 1)));
      ReverieException e = assertThrows(ReverieException.class, () -> step.update(0.1));
      assertTrue(e.getMessage().contains("first for p (Infinity)"), e.getMessage());
    }
  }

  private static TrainingStep step(Parameters trained) {
    return new TrainingStep(
        trained, new TrainingStep.Settings(AdamW.Options.weightDecay(0.1), 0.5, 0.9));
  }

  private BackwardPass<Input, BackwardPass.Nothing> pass(Parameters trained, TrainingStep step) {
    Tensor w = trained.get("p").value();
    Tensor b = trained.get("q").value();
    return BackwardPass.of(
        MethodHandles.lookup(),
        device,
        step.gradients(),
        in -> in.x.mul(w).tanh().sum(1).sub(b.sum()).square().sum().div(4));
  }

  /** Steps with clipping and an average: all numbers that come out. */
  private List<double[]> train(Parameters trained, Tensor x, boolean capture) {
    List<double[]> seen = new ArrayList<>();
    try (TrainingStep step = step(trained);
        var pass = pass(trained, step)) {
      for (int i = 0; i < 3; i++) {
        double rate = 0.1 / (i + 1);
        Interpreter how = capture ? Interpreter.current() : new Profile(Interpreter.current());
        Input input = new Input(x.mul(i + 1));
        seen.add(
            Interpreter.with(
                how,
                () -> {
                  step.begin();
                  double loss = pass.add(input).sum().item();
                  return new double[] {loss, step.update(rate)};
                }));
        assertEquals(capture, step.captured().isPresent() && pass.captured().isPresent());
      }
      assertEquals(3, step.steps());
      step.state().tensors().values().forEach(t -> seen.add(t.toDoubles()));
    }
    return seen;
  }

  @Test
  void aCapturedStepIsTheStepItself() {
    Tensor x = Rng.of(7).normal(device, 4, 2);
    try (Parameters twin = parameters.copy()) {
      List<double[]> eager = train(parameters, x, false);
      List<double[]> captured = train(twin, x, true);
      assertTrue(eager.getFirst()[1] > 0.5, "nothing was clipped");
      assertEquals(eager.size(), captured.size());
      for (int i = 0; i < eager.size(); i++) {
        assertArrayEquals(eager.get(i), captured.get(i));
      }
    }
  }

  private static void advance(TrainingStep step, BackwardPass<Input, ?> pass, Tensor x) {
    step.begin();
    pass.add(new Input(x));
    step.update(0.1);
  }

  @Test
  void aRestoredStepGoesOnWithTheSameBits() {
    Tensor x = Rng.of(7).normal(device, 4, 2);
    try (Parameters twin = parameters.copy();
        TrainingStep through = step(parameters);
        var first = pass(parameters, through);
        TrainingStep resumed = step(twin);
        var second = pass(twin, resumed)) {
      advance(through, first, x);
      Map<String, Tensor> tensors = new TreeMap<>();
      through.state().tensors().forEach((name, t) -> tensors.put(name, t.add(0)));
      TrainingState saved = new TrainingState(tensors, through.state().counters());
      advance(through, first, x);
      resumed.restore(saved);
      advance(resumed, second, x);
      assertEquals(through.state().counters(), resumed.state().counters());
      Map<String, Tensor> expected = through.state().tensors();
      resumed
          .state()
          .tensors()
          .forEach(
              (name, t) -> assertArrayEquals(expected.get(name).toDoubles(), t.toDoubles(), name));
      double[] before = twin.get("p").value().toDoubles();
      tensors.remove("average.q");
      ReverieException e = assertThrows(ReverieException.class, () -> resumed.restore(saved));
      assertTrue(
          e.getMessage()
              .startsWith("training step: expected average.q F64[1, 3] in the saved state"),
          e.getMessage());
      assertArrayEquals(before, twin.get("p").value().toDoubles());
    }
  }

  @Test
  void clippingShortensOnlyWhatIsTooLong() {
    assertEquals(1, GradientAccumulator.clipFactor(device.scalar(0.3), 0.7).item());
    assertEquals(0.25, GradientAccumulator.clipFactor(device.scalar(4), 1).item());
  }

  /** A long gradient counts in the moments of the next step only as far as it is let through. */
  @Test
  void aStepClips() {
    double[] ends = new double[2];
    for (int k = 0; k < 2; k++) {
      Parameters one = Parameters.random(device, Rng.of(1));
      Parameter p = one.create("p", AxisOrder.SAME, Initialiser.zeros(), 1);
      var settings = new TrainingStep.Settings(AdamW.Options.weightDecay(0), k == 0 ? 1 : 0, 0);
      try (one;
          TrainingStep step = new TrainingStep(one, settings)) {
        for (double gradient : k == 0 ? new double[] {50, 0.5} : new double[] {1, 0.5}) {
          step.begin();
          step.gradients().gradient(p).assign(new double[] {gradient});
          step.update(0.1);
        }
        ends[k] = p.value().item();
      }
    }
    assertEquals(ends[1], ends[0], 1e-6);
  }

  @Test
  void theAverageFollows() {
    try (Ema ema = new Ema(parameters, 0.75, false)) {
      set(p, 5, 2);
      ema.update();
      assertArrayEquals(new double[] {2, -1}, ema.parameters().get("p").value().toDoubles(), 1e-15);
      assertArrayEquals(new double[] {5, 2}, p.value().toDoubles());
      assertEquals(1, ema.updates());
      assertEquals(List.of(), ema.parameters().trainable());
    }
  }

  @Test
  void withWarmUpTheAverageForgetsItsStart() {
    try (Ema ema = new Ema(parameters, 0.75, true)) {
      set(p, 11, -2);
      ema.update();
      assertEquals(1 + 0.9 * 10, ema.parameters().get("p").value().toDoubles()[0], 1e-14);
      ema.update();
      double second = 10 + (1 - 2.0 / 11) * 1;
      assertEquals(second, ema.parameters().get("p").value().toDoubles()[0], 1e-14);
    }
  }

  @Test
  void learningRates() {
    LearningRate cosine = LearningRate.cosine(1, 0.5, 10);
    assertEquals(1, cosine.at(0));
    assertEquals(0.75, cosine.at(5), 1e-15);
    assertEquals(0.5, cosine.at(10), 1e-15);
    assertEquals(0.5, cosine.at(99), 1e-15);
    LearningRate warm = LearningRate.constant(2).warmedUp(4);
    assertEquals(0.5, warm.at(0));
    assertEquals(1.5, warm.at(2));
    assertEquals(2, warm.at(3));
    assertEquals(2, warm.at(100));
    assertEquals(cosine.at(2) * 3 / 4, cosine.warmedUp(4).at(2), 1e-15);
  }

  private void set(Parameter parameter, double... values) {
    parameter.value().assign(device.tensor(values, parameter.shape().dims()));
  }
}
