// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.autograd.Tape;
import reverie.diffusion.analytic.GaussianDenoiser;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class DenoisingLossTest {
  private static final Device DEVICE = Device.reference();
  private static final SchedulerConfig CONFIG = SchedulerConfig.stableDiffusion();
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
    return IntStream.range(from, to).mapToObj(i -> Rng.of(5).fork(i)).toArray(Rng[]::new);
  }

  /** Predicts perfectly, knowing the sample: from x_t and x_0 follow ε and v. */
  private static Denoiser oracle(Prediction prediction, Tensor original) {
    NoiseSchedule schedule = CONFIG.schedule();
    return (x, timesteps, _) -> {
      double[] t = timesteps.toDoubles();
      Tensor noise =
          Rows.times(
              x.sub(Rows.times(original, t, schedule::signal)), t, i -> 1 / schedule.noise(i));
      return switch (prediction) {
        case EPSILON -> noise;
        case SAMPLE -> original;
        case V_PREDICTION ->
            Rows.times(noise, t, schedule::signal).sub(Rows.times(original, t, schedule::noise));
        case FLOW -> noise.sub(original);
      };
    };
  }

  @ParameterizedTest
  @EnumSource(value = Prediction.class, mode = EnumSource.Mode.EXCLUDE, names = "FLOW")
  void whoKnowsTheTargetHasNoLoss(Prediction prediction) {
    DenoisingLoss loss = DenoisingLoss.of(CONFIG.withPrediction(prediction));
    Tensor original = Rng.of(1).normal(DEVICE, 6, 5);
    DenoisingLoss.NoiseDraw draw = loss.draw(original, rows(0, 6));
    double[] none = loss.perSample(oracle(prediction, original), original, null, draw).toDoubles();
    assertArrayEquals(new double[6], none, 1e-24);
    // Off by one everywhere costs one.
    Denoiser off = (x, t, c) -> oracle(prediction, original).predict(x, t, c).add(1);
    assertEquals(1, loss.perSample(off, original, null, draw).mean().item(), 1e-12);
  }

  @Test
  void drawsAreUniformAndBelongToTheirSample() {
    DenoisingLoss loss = DenoisingLoss.of(CONFIG);
    int n = 4000;
    DenoisingLoss.NoiseDraw draw = loss.draw(DEVICE.zeros(n, 1), rows(0, n));
    double mean = Arrays.stream(draw.timesteps()).average().orElseThrow();
    assertEquals(499.5, mean, 5 * 1000 / Math.sqrt(12.0 * n));
    assertEquals(true, Arrays.stream(draw.timesteps()).allMatch(t -> t >= 0 && t < 1000));
    DenoisingLoss.NoiseDraw part = loss.draw(DEVICE.zeros(2, 1), rows(17, 19));
    assertArrayEquals(Arrays.copyOfRange(draw.timesteps(), 17, 19), part.timesteps());
    assertArrayEquals(
        Arrays.copyOfRange(draw.noise().toDoubles(), 17, 19), part.noise().toDoubles());
  }

  /** The best model of N(0, s²) leaves ᾱs²/(ᾱs²+1−ᾱ) of ε unexplained. */
  @Test
  void theBestModelHasTheKnownLoss() {
    DenoisingLoss loss = DenoisingLoss.of(CONFIG);
    NoiseSchedule schedule = CONFIG.schedule();
    int n = 2000;
    Tensor original = Rng.of(1).normal(DEVICE, n, 20).mul(0.5);
    DenoisingLoss.NoiseDraw draw = loss.draw(original, rows(0, n));
    double[] losses =
        loss.perSample(GaussianDenoiser.of(schedule, 0, 0.5), original, null, draw).toDoubles();
    double difference = 0;
    double variance = 0;
    for (int i = 0; i < n; i++) {
      int t = (int) draw.timesteps()[i];
      double signal = schedule.alphaBar(t) * 0.25;
      double expected = signal / (signal + schedule.noiseVariance(t));
      difference += losses[i] - expected;
      variance += expected * expected * 2 / 20;
    }
    assertEquals(0, difference, 5 * Math.sqrt(variance));
  }

  @Test
  void weightsMultiplyTheLossesOfTheirSamples() {
    DenoisingLoss loss = DenoisingLoss.of(CONFIG);
    Tensor original = Rng.of(1).normal(DEVICE, 3, 5);
    Tensor scale = DEVICE.scalar(0.7);
    Denoiser model = (x, _, _) -> x.mul(scale);
    DenoisingLoss.NoiseDraw draw = loss.draw(original, rows(0, 3));
    double[] each = loss.perSample(model, original, null, draw).toDoubles();
    DenoisingLoss.NoisedBatch weighted =
        loss.noised(original, draw).weighted(DEVICE.tensor(new double[] {2, 0, 0.5}, 3));
    Tape.Result result = Tape.run(List.of(scale), () -> weighted.perSample(model, null).mean());
    assertEquals((2 * each[0] + 0.5 * each[2]) / 3, result.loss().item(), 1e-14);

    double step = 1e-5;
    double up = weighted.perSample((x, _, _) -> x.mul(0.7 + step), null).mean().item();
    double down = weighted.perSample((x, _, _) -> x.mul(0.7 - step), null).mean().item();
    assertEquals((up - down) / (2 * step), result.gradient(scale).item(), 1e-8);
  }

  @ParameterizedTest
  @EnumSource(value = Prediction.class, mode = EnumSource.Mode.EXCLUDE, names = "FLOW")
  void minSnrCapsTheWeightOfTheCleanSample(Prediction prediction) {
    DenoisingLoss plain = DenoisingLoss.of(CONFIG.withPrediction(prediction));
    DenoisingLoss capped = new DenoisingLoss(plain.schedule(), prediction, 5);
    Tensor original = Rng.of(1).normal(DEVICE, 64, 5);
    DenoisingLoss.NoiseDraw draw = plain.draw(original, rows(0, 64));
    int above = 0;
    Denoiser silent = (x, _, _) -> x.mul(0);
    double[] before = plain.perSample(silent, original, null, draw).toDoubles();
    double[] after = capped.perSample(silent, original, null, draw).toDoubles();
    for (int i = 0; i < 64; i++) {
      double alphaBar = plain.schedule().alphaBar((int) draw.timesteps()[i]);
      // An error e of x_0 is an error e·√SNR of ε and e/√(1−ᾱ) of v: all three weigh x_0 by
      // min(SNR, 5).
      double snr = alphaBar / (1 - alphaBar);
      above += snr > 5 ? 1 : 0;
      double ofSample =
          switch (prediction) {
            case EPSILON -> 1 / snr;
            case V_PREDICTION -> 1 - alphaBar;
            case SAMPLE -> 1;
            case FLOW -> throw new AssertionError();
          };
      assertEquals(before[i] * Math.min(snr, 5) * ofSample, after[i], 1e-10 * before[i]);
    }
    assertTrue(above > 5 && above < 59, above + " are capped");
    // Other weights come on top.
    Tensor halves = DEVICE.full(0.5, 64);
    double[] halved =
        capped.noised(original, draw).weighted(halves).perSample(silent, null).toDoubles();
    assertArrayEquals(Arrays.stream(after).map(v -> v / 2).toArray(), halved, 1e-14);
    assertThrows(ReverieException.class, () -> new DenoisingLoss(plain.schedule(), prediction, 0));
  }

  @Test
  void promptsAreDroppedAtTheirRate() {
    int n = 2000;
    Tensor none = DEVICE.tensor(new double[] {-1, -2}, 1, 2, 1);
    Tensor context = DEVICE.tensor(IntStream.range(0, 2 * n).asDoubleStream().toArray(), n, 2, 1);
    double[] out = new PromptDropout(0.1, none).apply(context, rows(0, n)).toDoubles();
    int dropped = 0;
    for (int i = 0; i < n; i++) {
      boolean gone = out[2 * i] == -1;
      dropped += gone ? 1 : 0;
      assertEquals(gone ? -1 : 2 * i, out[2 * i]);
      assertEquals(gone ? -2 : 2 * i + 1, out[2 * i + 1]);
    }
    assertEquals(0.1 * n, dropped, 5 * Math.sqrt(n * 0.09));
    // Whether a prompt is dropped says nothing of the noise that its sample gets.
    double[] noise =
        DenoisingLoss.of(CONFIG).draw(DEVICE.zeros(n, 1), rows(0, n)).noise().toDoubles();
    double square = 0;
    for (int i = 0; i < n; i++) {
      square += out[2 * i] == -1 ? noise[i] * noise[i] / dropped : 0;
    }
    assertEquals(1, square, 0.15);
    assertArrayEquals(
        context.toDoubles(), new PromptDropout(0, none).apply(context, rows(0, n)).toDoubles());
    assertThrows(ReverieException.class, () -> new PromptDropout(1.5, none));
    assertThrows(ReverieException.class, () -> new PromptDropout(0.5, DEVICE.zeros(2, 1)));
  }
}
