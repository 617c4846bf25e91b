// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import reverie.diffusion.ReversePolicy;
import reverie.rl.Policy;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class DistanceToBaseTest {
  private static final int SAMPLES = 5;

  @Test
  void isTheDivergenceOfTheStepsFromTheBaseModels() {
    Device device = Device.cpu();
    try (var model = new TinyModel(device);
        Scope _ = Scope.open("test")) {
      model.move(0.1);
      Policy policy = model.policy(1, 2);
      ReversePolicy process = policy.process();
      Tensor x = Rng.of(3).normal(device, SAMPLES, TinyModel.HEIGHT, TinyModel.WIDTH, 1);
      Tensor context = Rng.of(4).normal(device, SAMPLES, 1, 2);
      int[][] asked = new int[2][];
      Diagnostics diagnostics = new Diagnostics();
      try (var distance = new DistanceToBase(policy)) {
        distance.measure(
            SAMPLES,
            SAMPLES,
            Rng.of(5),
            (samples, steps) -> {
              asked[0] = samples;
              asked[1] = steps;
              return x;
            },
            _ -> context,
            diagnostics);
        assertEquals(Optional.empty(), distance.captureFailure());
      }
      assertEquals(SAMPLES, asked[0].length);
      Tensor timesteps = process.timesteps(x, asked[1]);
      double expected =
          process
              .divergence(
                  process.step(x, policy.denoiser().predict(x, timesteps, context), asked[1]),
                  process.step(x, policy.reference().predict(x, timesteps, context), asked[1]))
              .mean()
              .item();
      assertTrue(expected > 1e-4, "too small to tell: " + expected);
      assertEquals(expected, diagnostics.kl(), 1e-5 * expected);
    }
  }
}
