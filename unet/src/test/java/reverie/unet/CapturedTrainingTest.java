// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.extension.ExtendWith;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.laws.LeakCheck;

/** The backward pass of a whole U-Net, captured and as it is: the same bits. */
@ExtendWith(LeakCheck.class)
class CapturedTrainingTest {
  private final Device device = Device.cpu();

  @Test
  void givesTheSameGradients() {
    try (Scope _ = Scope.open("test");
        UNet model = UNet.random(UNetConfig.of(Configs.conditioned()), device, Rng.of(3))) {
      List<Tensor> weights = model.parameters().all().stream().map(Parameter::value).toList();
      Tensor x = Rng.of(4).normal(device, 3, 8, 8, 4);
      Tensor target = Rng.of(5).normal(device, 3, 8, 8, 4);
      Tensor context = Rng.of(6).normal(device, 3, 5, 12);
      Tensor timesteps = device.tensor(new double[] {3, 500, 999}, 3);
      try (CapturedGraph step =
          CapturedGraph.of(
              device, () -> differentiate(model, weights, x, timesteps, context, target))) {
        assertTrue(step.plannedBytes() < step.requestedBytes() / 2);
        long live = device.liveBytes();
        for (int time = 0; time < 3; time++) {
          step.run();
          try (Scope _ = Scope.open("eager")) {
            Tensor[] expected = differentiate(model, weights, x, timesteps, context, target);
            assertTrue(step.plannedBytes() < device.liveBytes() - live);
            for (int i = 0; i < expected.length; i++) {
              assertArrayEquals(
                  expected[i].toFloats(), step.outputs().get(i).toFloats(), "output " + i);
            }
          }
          x.assign(x.mul(0.5));
          timesteps.assign(new double[] {7 * time, 20, 800 - time});
        }
      }
    }
  }

  /** Guided: one context for all samples and one for each, so that rows are repeated. */
  @Test
  @EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
  void inBfloat16PredictionsAreTheSameWithAndWithoutGradients() {
    Device cuda = new Device(HostCuda.backend(Precision.BF16));
    try (Scope _ = Scope.open("test");
        UNet model = UNet.random(UNetConfig.of(Configs.conditioned()), cuda, Rng.of(3))) {
      List<Tensor> weights = model.parameters().all().stream().map(Parameter::value).toList();
      Tensor x = Rng.of(4).normal(cuda, 2, 4, 4, 4);
      Tensor target = Rng.of(5).normal(cuda, 4, 4, 4, 4);
      Tensor context = Rng.of(6).normal(cuda, 3, 5, 12);
      Tensor timesteps = cuda.tensor(new double[] {3, 999}, 2);
      Tensor[] expected = differentiate(model, weights, x, timesteps, context, target);
      try (CapturedGraph alone =
              CapturedGraph.of(
                  cuda,
                  () -> new Tensor[] {Ops.mse(model.forward(x, timesteps, context), target)});
          CapturedGraph step =
              CapturedGraph.of(
                  cuda, () -> differentiate(model, weights, x, timesteps, context, target))) {
        alone.run();
        assertEquals(expected[0].item(), alone.outputs().getFirst().item());
        step.run();
        for (int i = 0; i < expected.length; i++) {
          assertArrayEquals(
              expected[i].toFloats(), step.outputs().get(i).toFloats(), "output " + i);
        }
      }
    }
  }

  private static Tensor[] differentiate(
      UNet model, List<Tensor> weights, Tensor x, Tensor timesteps, Tensor context, Tensor y) {
    Tape.Result result = Tape.run(weights, () -> Ops.mse(model.forward(x, timesteps, context), y));
    List<Tensor> all = new ArrayList<>(List.of(result.loss()));
    weights.forEach(w -> all.add(result.gradient(w)));
    return all.toArray(Tensor[]::new);
  }
}
