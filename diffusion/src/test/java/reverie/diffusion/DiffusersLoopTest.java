// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.tensor.Device;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Whole chains of the tests of diffusers: model {@code x·t/(t+1)}, start a ramp, result a sum and a
 * mean.
 */
class DiffusersLoopTest {
  private static final Device DEVICE = Device.reference();
  private static final Denoiser MODEL =
      (x, t, _) -> {
        double at = t.slice(0, 0, 1).item();
        return x.mul(at / (at + 1));
      };
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  /** 0, 1, … 767 over 768 as [3, 8, 8, 4], its last axis moved to the front. */
  private static Tensor ramp(boolean falling) {
    double[] values = new double[768];
    for (int i = 0; i < 768; i++) {
      values[(i % 4) * 192 + i / 4] = (falling ? 767 - i : i) / 768.0;
    }
    return DEVICE.tensor(values, 4, 3, 8, 8);
  }

  private static Tensor walk(ReversePolicy policy, Tensor start, int from) {
    Tensor x = start;
    for (int i = from; i < policy.steps(); i++) {
      x = policy.sample(policy.step(x, MODEL.predict(x, policy.timesteps(x, i), null), i));
    }
    return x;
  }

  private static void assertSums(double sum, double mean, Tensor x) {
    assertEquals(sum, DoubleStream.of(x.toDoubles()).map(Math::abs).sum(), 2e-3);
    assertEquals(mean, DoubleStream.of(x.toDoubles()).map(Math::abs).average().orElseThrow(), 1e-4);
  }

  @Test
  void ddimWithoutNoise() {
    SchedulerConfig config = SchedulerConfig.defaults();
    assertSums(172.0067, 0.223967, walk(ReversePolicy.ddim(config, 10, 0), ramp(false), 0));
  }

  @Test
  void ddimPredictingV() {
    SchedulerConfig config = SchedulerConfig.defaults().withPrediction(Prediction.V_PREDICTION);
    assertSums(52.5302, 0.0684, walk(ReversePolicy.ddim(config, 10, 0), ramp(false), 0));
  }

  @Test
  void ddimEndingCleanOrNot() {
    SchedulerConfig config =
        SchedulerConfig.defaults().withBetas(SchedulerConfig.BetaSchedule.LINEAR, 0.01, 0.02);
    assertSums(
        149.8295,
        0.1951,
        walk(ReversePolicy.ddim(config.withEndsClean(true), 10, 0), ramp(false), 0));
    assertSums(
        149.0784,
        0.1941,
        walk(ReversePolicy.ddim(config.withEndsClean(false), 10, 0), ramp(false), 0));
  }

  @Test
  void ddimFromANoisedSample() {
    ReversePolicy policy = ReversePolicy.ddim(SchedulerConfig.defaults(), 10, 0);
    Tensor noised = policy.schedule().addNoise(ramp(false), ramp(true), policy.grid().timestep(8));
    assertSums(354.5418, 0.4616, walk(policy, noised, 8));
  }

  @Test
  void ddpmWithTheNoiseOfPyTorch() {
    TorchNormal torch = new TorchNormal(0);
    double[] first = new TorchNormal(0).next(16);
    assertArrayEquals(
        new double[] {-1.1258, -1.1524, -0.2506, -0.4339}, Arrays.copyOf(first, 4), 5e-5);

    ReversePolicy policy = ReversePolicy.ddpm(SchedulerConfig.defaults(), 1000);
    Tensor x = ramp(false);
    for (int i = 0; i < 1000; i++) {
      ReversePolicy.Step step = policy.step(x, MODEL.predict(x, policy.timesteps(x, i), null), i);
      x = step.mean();
      if (policy.isDecision(i)) {
        x = x.add(DEVICE.tensor(torch.next(768), 4, 3, 8, 8).mul(policy.sigma(i)));
      }
    }
    assertEquals(258.9606, DoubleStream.of(x.toDoubles()).map(Math::abs).sum(), 1e-2);
    assertEquals(
        0.3372, DoubleStream.of(x.toDoubles()).map(Math::abs).average().orElseThrow(), 1e-4);
  }
}
