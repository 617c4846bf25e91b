// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.likelihood;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.autograd.Tape;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Prediction;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.analytic.GaussianDenoiser;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class FlowDensityTest {
  private static final Device DEVICE = Device.reference();
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static List<Tensor> units() {
    return List.of(
        DEVICE.tensor(new double[] {1, 0, 1, 0}, 2, 1, 1, 2),
        DEVICE.tensor(new double[] {0, 1, 0, 1}, 2, 1, 1, 2));
  }

  /** A model that is not linear, with a weight. */
  private static Denoiser model(Tensor weight) {
    return (x, timesteps, _) -> {
      Tensor time = timesteps.mul(1e-3).reshape(x.dim(0), 1, 1, 1);
      return x.mul(weight).add(time).silu().add(x.mul(0.3));
    };
  }

  /** In float64 against the integrator of order 8, whatever is predicted. */
  @ParameterizedTest
  @EnumSource(Prediction.class)
  void agreesWithTheAdaptiveIntegrator(Prediction prediction) {
    SchedulerConfig config =
        prediction == Prediction.FLOW
            ? SchedulerConfig.flow(1)
            : SchedulerConfig.stableDiffusion().withPrediction(prediction);
    Denoiser model = model(DEVICE.scalar(0.4));
    double[] points = {0.7, -0.2, 0.1, 0.5};
    Tensor both = DEVICE.tensor(points, 2, 1, 1, 2);
    double[] fixed =
        new FlowDensity(config.schedule(), prediction, 60)
            .of(model, both, null, units(), 1)
            .toDoubles();
    for (int i = 0; i < 2; i++) {
      Tensor one = DEVICE.tensor(new double[] {points[2 * i], points[2 * i + 1]}, 1, 1, 2);
      try (var adaptive = new FlowLikelihood(config, DEVICE, model, new Trace.Exact(), 1e-9)) {
        assertEquals(adaptive.of(one, null, _ -> {}).mean(), fixed[i], 1e-5);
      }
    }
  }

  /** N(0.3, 0.49) by the exact model of a flow. */
  @Test
  void isTheDensityOfGaussianData() {
    SchedulerConfig config = SchedulerConfig.flow(1);
    Denoiser exact = GaussianDenoiser.of(config.schedule(), 0.3, 0.7);
    double x = 1.1;
    double z = (x - 0.3) / 0.7;
    double expected = -0.5 * z * z - Math.log(0.7) - 0.5 * Math.log(2 * Math.PI);
    Tensor at = DEVICE.tensor(new double[] {x}, 1, 1, 1, 1);
    Tensor one = DEVICE.tensor(new double[] {1}, 1, 1, 1, 1);
    double density =
        new FlowDensity(config.schedule(), Prediction.FLOW, 80)
            .of(exact, at, null, List.of(one), 1)
            .item();
    assertEquals(expected, density, 1e-6);
  }

  /** By the weights, through the divergence too, against differences. */
  @Test
  void isDifferentiated() {
    SchedulerConfig config = SchedulerConfig.stableDiffusion();
    var density = new FlowDensity(config.schedule(), Prediction.EPSILON, 8);
    Tensor both = DEVICE.tensor(new double[] {0.7, -0.2, 0.1, 0.5}, 2, 1, 1, 2);
    Tensor weight = DEVICE.scalar(0.4);
    Tape.Result result =
        Tape.run(List.of(weight), () -> density.of(model(weight), both, null, units(), 1).sum());
    double h = 1e-5;
    double above = density.of(model(DEVICE.scalar(0.4 + h)), both, null, units(), 1).sum().item();
    double below = density.of(model(DEVICE.scalar(0.4 - h)), both, null, units(), 1).sum().item();
    assertEquals((above - below) / (2 * h), result.gradient(weight).item(), 1e-7);
    assertThrows(
        ReverieException.class, () -> new FlowDensity(config.schedule(), Prediction.EPSILON, 0));
  }
}
