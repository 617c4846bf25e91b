// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.diffusion.analytic.GaussianDenoiser;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class SamplerTest {
  private static final Device DEVICE = Device.reference();
  private static final ReversePolicy POLICY =
      ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 5, 1);
  private static final Denoiser MODEL = GaussianDenoiser.of(POLICY.schedule(), 1, 0.5);
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static Rng[] rows(int from, int to) {
    return IntStream.range(from, to)
        .mapToObj(i -> Sampler.row(42, i / 2, i % 2))
        .toArray(Rng[]::new);
  }

  @Test
  void rolloutAndSampleAgreeAndRescoringChangesNothing() {
    Sampler sampler = new Sampler(POLICY, DEVICE);
    Trajectory trajectory = sampler.rollout(MODEL, null, rows(0, 4), 3, 2);
    assertEquals(4, trajectory.size());
    assertArrayEquals(
        sampler.sample(MODEL, null, rows(0, 4), 3, 2).toDoubles(), trajectory.result().toDoubles());
    // Decisions picked out of order in one batch: the ratio to the old log-probability is exactly
    // one.
    int[] picked = {3, 0, 0, 2};
    int[] steps = {4, 1, 0, 3};
    Decisions d = Decisions.of(trajectory, picked, steps);
    Tensor output = MODEL.predict(d.before(), POLICY.timesteps(d.before(), steps), null);
    Tensor again = POLICY.logProb(d.after(), POLICY.step(d.before(), output, d.steps()));
    assertArrayEquals(new double[] {1, 1, 1, 1}, again.sub(d.logProb()).exp().toDoubles());
    for (int i = 0; i < 4; i++) {
      assertEquals(trajectory.logProb(steps[i]).toDoubles()[picked[i]], d.logProb().toDoubles()[i]);
      assertArrayEquals(
          Arrays.copyOfRange(
              trajectory.after(steps[i]).toDoubles(), picked[i] * 6, picked[i] * 6 + 6),
          Arrays.copyOfRange(d.after().toDoubles(), i * 6, i * 6 + 6));
    }
  }

  @Test
  void aSampleDoesNotDependOnItsBatch() {
    Sampler sampler = new Sampler(POLICY, DEVICE);
    double[] together = sampler.sample(MODEL, null, rows(0, 6), 4, 4, 3).toDoubles();
    for (int i = 0; i < 6; i++) {
      double[] alone = sampler.sample(MODEL, null, rows(i, i + 1), 4, 4, 3).toDoubles();
      assertArrayEquals(Arrays.copyOfRange(together, i * 48, i * 48 + 48), alone);
    }
    double[] first = Arrays.copyOf(together, 48);
    double[] second = Arrays.copyOfRange(together, 48, 96);
    assertFalse(Arrays.equals(first, second));
    assertFalse(Arrays.equals(first, Arrays.copyOfRange(together, 96, 144)));
  }

  @Test
  void everyStepHasNoiseOfItsOwn() {
    SchedulerConfig flow = SchedulerConfig.flow(1).withSpacing(TimestepGrid.Spacing.TRAILING, 0);
    for (ReversePolicy policy :
        List.of(POLICY, ReversePolicy.flow(flow, 5, FlowNoise.FLOW_SDE, 0.7))) {
      // A model that says nothing leaves x' = factor·x + sigma·z.
      Trajectory t =
          new Sampler(policy, DEVICE).rollout((x, _, _) -> x.mul(0), null, rows(0, 1), 200);
      List<double[]> noise = new ArrayList<>();
      noise.add(t.before(0).toDoubles());
      for (int i : policy.decisions()) {
        noise.add(
            t.after(i)
                .sub(t.before(i).mul(policy.stateFactor(i)))
                .div(policy.sigma(i))
                .toDoubles());
      }
      for (int i = 0; i < noise.size(); i++) {
        for (int j = 0; j < i; j++) {
          double dot = 0;
          for (int k = 0; k < 200; k++) {
            dot += noise.get(i)[k] * noise.get(j)[k];
          }
          assertEquals(0, dot / 200, 5 / Math.sqrt(200));
        }
      }
    }
  }

  @Test
  void aStepWithoutNoiseHasNoLogProbability() {
    ReversePolicy policy = ReversePolicy.ddim(SchedulerConfig.defaults().withoutClipping(), 4, 1);
    Trajectory t = new Sampler(policy, DEVICE).rollout(MODEL, null, rows(0, 2), 3);
    assertEquals(2, t.logProb(0).size());
    ReverieException e = assertThrows(ReverieException.class, () -> t.logProb(3));
    assertTrue(e.getMessage().contains("step 3 has sigma 0"), e::getMessage);
  }

  @Test
  void listenersHearEveryStepAndMayEndIt() {
    List<String> heard = new ArrayList<>();
    new Sampler(POLICY, DEVICE, (done, steps) -> heard.add(done + "/" + steps))
        .sample(MODEL, null, rows(0, 1), 2);
    assertEquals(List.of("1/5", "2/5", "3/5", "4/5", "5/5"), heard);
    Sampler ended =
        new Sampler(
            POLICY,
            DEVICE,
            (done, _) -> {
              if (done == 2) {
                Thread.currentThread().interrupt();
              }
            });
    CancellationException e =
        assertThrows(CancellationException.class, () -> ended.rollout(MODEL, null, rows(0, 1), 2));
    assertTrue(Thread.interrupted());
    assertEquals("sampling was interrupted before step 2 of 5", e.getMessage());
  }

  @Test
  void aModelThatLooksAtValuesIsTold() {
    Denoiser looking = (x, _, _) -> x.mul(x.toDoubles()[0]);
    ReversePolicy ode = ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 5, 0);
    for (ReversePolicy policy : List.of(POLICY, ode)) {
      try (var step = new SamplingStep(policy, DEVICE, looking)) {
        new Sampler(policy, DEVICE).rollout(step, null, rows(0, 1), 2);
        assertTrue(step.captureFailure().isPresent(), policy::rule);
      }
    }
  }

  @Test
  void onlyTheResultStays() {
    long before = DEVICE.liveBytes();
    new Sampler(POLICY, DEVICE).sample(MODEL, null, rows(0, 3), 7);
    assertEquals(3 * 7 * 8, DEVICE.liveBytes() - before);
    before = DEVICE.liveBytes();
    new Sampler(POLICY, DEVICE).rollout(MODEL, null, rows(0, 3), 7);
    assertEquals(6 * 3 * 7 * 8 + 5 * 3 * 8, DEVICE.liveBytes() - before);
  }

  @Test
  void decodingRoundsAsTheReferenceDoes() {
    Tensor x =
        DEVICE.tensor(
            new double[] {-2, -1, 0, 1, 3, 2 * (100.5 / 255) - 1, 2 * (0.4 / 255) - 1}, 1, 7);
    byte[] bytes = Decoding.bytes(x);
    int[] unsigned = IntStream.range(0, 7).map(i -> bytes[i] & 0xff).toArray();
    // 127.5 goes to the even 128; 100.5 is not exact in binary32 and may go either way.
    unsigned[5] = unsigned[5] == 101 ? 100 : unsigned[5];
    assertArrayEquals(new int[] {0, 0, 128, 255, 255, 100, 0}, unsigned);
    assertArrayEquals(
        new double[] {-0.5, 0, 0.5, 1, 2}, Arrays.copyOf(Decoding.unit(x).toDoubles(), 5));
    Tensor broken = DEVICE.tensor(new double[] {0, 0, Double.NaN, 0}, 2, 2);
    ReverieException e = assertThrows(ReverieException.class, () -> Decoding.bytes(broken));
    assertTrue(e.getMessage().contains("sample 1 of 2 holds NaN"), e::getMessage);
  }
}
