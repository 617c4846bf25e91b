// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** Steps, latents and log-probabilities as the reference code computed them. */
class RecordedStepsTest {
  private static final Device DEVICE = Device.reference();
  private static final SchedulerConfig STABLE = SchedulerConfig.stableDiffusion();
  private static final double HALF_LOG_TWO_PI = 0.5 * Math.log(2 * Math.PI);
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  static int stepAt(ReversePolicy policy, int timestep) {
    for (int i = 0; i < policy.steps(); i++) {
      if (policy.grid().timestep(i) == timestep) {
        return i;
      }
    }
    throw new AssertionError("no timestep " + timestep + " in " + policy.grid());
  }

  private static double sumAbs(double... values) {
    return DoubleStream.of(values).map(Math::abs).sum();
  }

  /** The next latent with the noise of the reference numbers. */
  private static Tensor next(ReversePolicy policy, ReversePolicy.Step step, Waves waves) {
    return step.mean().add(waves.noise().mul(policy.sigma(step.steps()[0])));
  }

  // The reference code in float32: prediction, eta, t, sigma, three means, one element of the next
  // latent, two sums of
  // magnitudes, two log-probabilities.
  @ParameterizedTest
  @CsvSource({
    "epsilon, 1, 981, .454463333, -.116194487, .296793461, .652106285, .908923745, 367.275062, 389.468046, -.489486754, -.489952922",
    "epsilon, 1, 501, .294784695, -.00430059433, .373765379, .692888081, .786295414, 340.937394, 350.84852, -.0566147901, -.0570809096",
    "epsilon, 1, 21, .0394796096, -.0259688534, .339487672, .649280012, .656872571, 328.404532, 328.659259, 1.95384622, 1.95338011",
    "epsilon, 1, 1, .0206482187, .0795753971, .434252024, .728597939, .634973288, 325.261526, 325.376637, 2.60200143, 2.60153508",
    "epsilon, .5, 981, .227231666, -.0344312787, .372624993, .718012333, .80768162, 365.502205, 371.036447, .203660369, .203194216",
    "epsilon, .5, 501, .147392347, .0355282426, .410704821, .724992514, .721698523, 340.772019, 343.22929, .636532426, .636066318",
    "epsilon, .5, 21, .0197398048, -.00225330144, .361482739, .668396115, .646727622, 328.118462, 328.215548, 2.64699364, 2.64652729",
    "epsilon, .5, 1, .0103241093, .0861248672, .440326333, .733877182, .630143046, 325.30539, 325.356553, 3.29514813, 3.29468203",
    "v_prediction, 1, 981, .454463333, .0715611055, .38724491, .649186611, .746743917, 289.555521, 317.76169, -.489486754, -.489952922",
    "v_prediction, 1, 501, .294784695, .0380743146, .378955871, .664165616, .722964287, 310.000253, 320.883943, -.0566147827, -.0570809171",
    "v_prediction, 1, 21, .0394796096, -.0265276097, .332444787, .636802018, .645462632, 322.525151, 322.783896, 1.95384634, 1.95337999",
    "v_prediction, 1, 1, .0206482187, .079507336, .433880776, .72797519, .634437978, 324.983536, 325.098669, 2.60200143, 2.60153532",
    "v_prediction, .5, 981, .227231666, .0860794708, .430681139, .716138303, .703586698, 316.655687, 322.970596, .203660339, .203194231",
    "v_prediction, .5, 501, .147392347, .0624152124, .413998157, .706768036, .681514859, 321.26394, 323.91576, .636532426, .636066318",
    "v_prediction, .5, 21, .0197398048, -.00270748138, .355758041, .65825361, .637453198, 323.33679, 323.43342, 2.6469934, 2.64652729",
    "v_prediction, .5, 1, .0103241093, .0860787705, .440074861, .73345536, .629780471, 325.117087, 325.168254, 3.29514813, 3.29468203",
    "sample, 1, 981, .454463333, .106175698, .418862224, .676191926, .743077695, 289.450283, 317.72072, -.489486754, -.489952922",
    "sample, 1, 501, .294784695, .158747822, .477936536, .737585068, .690442562, 299.553393, 311.240796, -.0566147938, -.0570809096",
    "sample, 1, 21, .0394796096, .904301941, .869707942, .786086023, -.00260282867, 298.931369, 299.246299, 1.95384622, 1.95338011",
    "sample, 1, 1, .0206482187, .541150808, .681548119, .767379463, .280045658, 210.44666, 210.675241, 2.60200143, 2.60153532",
    "sample, .5, 981, .227231666, .108296819, .450974733, .733471751, .701233506, 316.584158, 322.925027, .203660339, .203194231",
    "sample, .5, 501, .147392347, .138982862, .476801634, .75335288, .660879672, 314.640566, 317.39422, .636532426, .636066318",
    "sample, .5, 21, .0197398048, .7539047, .792465091, .779597044, .110681988, 251.302021, 251.289129, 2.64699364, 2.64652729",
    "sample, .5, 1, .0103241093, .398785472, .607839048, .760146916, .389723241, 232.16789, 232.227522, 3.29514813, 3.29468226",
  })
  void stepMatchesTheReferenceCode(
      String prediction,
      double eta,
      int t,
      double sigma,
      double mean0,
      double mean1,
      double mean2,
      double corner,
      double sumOfMeans,
      double sumOfNext,
      double logProb0,
      double logProb1) {
    SchedulerConfig config = STABLE.withPrediction(Prediction.of(prediction));
    ReversePolicy policy =
        ReversePolicy.ddim(config, config.schedule().inSinglePrecision(), 50, eta);
    int i = stepAt(policy, t);
    Waves waves = Waves.on(DEVICE, true);
    ReversePolicy.Step step = policy.step(waves.x(), waves.output(), i);
    Tensor next = next(policy, step, waves);

    double[] means = step.mean().toDoubles();
    assertEquals(sigma, policy.sigma(i), 1e-6 * sigma);
    assertArrayEquals(new double[] {mean0, mean1, mean2}, Arrays.copyOf(means, 3), 2e-6);
    assertEquals(corner, next.toDoubles()[511], 2e-6);
    assertEquals(sumOfMeans, sumAbs(means), 2e-6 * sumOfMeans);
    assertEquals(sumOfNext, sumAbs(next.toDoubles()), 2e-6 * sumOfNext);
    assertArrayEquals(
        new double[] {logProb0, logProb1}, policy.logProb(next, step).toDoubles(), 5e-6);
  }

  @ParameterizedTest
  @CsvSource({
    "981, .908923673101228, 389.468035696257, -.489486649393776, -.489952773654028",
    "501, .786295408606548, 350.84851663394, -.056614265359631, -.0570803896198833",
    "21, .656872464174225, 328.659243069926, 1.95384773361303, 1.95338160935278",
    "1, .63497337508835, 325.376639068257, 2.60199648401673, 2.60153035975648",
  })
  void stepMatchesTheReferenceCodeInFloat64(
      int t, double corner, double sum, double logProb0, double logProb1) {
    ReversePolicy policy = ReversePolicy.ddim(STABLE, 50, 1);
    Waves waves = Waves.on(DEVICE, false);
    ReversePolicy.Step step = policy.step(waves.x(), waves.output(), stepAt(policy, t));
    Tensor next = next(policy, step, waves);
    assertEquals(corner, next.toDoubles()[511], 2e-12);
    assertEquals(sum, sumAbs(next.toDoubles()), 1e-12 * sum);
    // The reference code has its ½·log 2π in float32.
    double constant = HALF_LOG_TWO_PI - 0.5f * (float) Math.log((float) (2 * Math.PI));
    assertArrayEquals(
        new double[] {logProb0 - constant, logProb1 - constant},
        policy.logProb(next, step).toDoubles(),
        2e-12);
    assertArrayEquals(
        new double[] {-Math.log(policy.sigma(step.steps()[0])) - HALF_LOG_TWO_PI},
        Arrays.copyOf(policy.logProb(step.mean(), step).toDoubles(), 1),
        1e-14);
  }

  @Test
  void samplesOfABatchMayBeAtDifferentSteps() {
    ReversePolicy policy = ReversePolicy.ddim(STABLE, 50, 1);
    Waves waves = Waves.on(DEVICE, false);
    int a = stepAt(policy, 501);
    int b = stepAt(policy, 21);
    ReversePolicy.Step mixed = policy.step(waves.x(), waves.output(), a, b);
    double[] both = mixed.mean().toDoubles();
    double[] onlyA = policy.step(waves.x(), waves.output(), a).mean().toDoubles();
    double[] onlyB = policy.step(waves.x(), waves.output(), b).mean().toDoubles();
    assertArrayEquals(Arrays.copyOf(onlyA, 256), Arrays.copyOf(both, 256));
    assertArrayEquals(Arrays.copyOfRange(onlyB, 256, 512), Arrays.copyOfRange(both, 256, 512));
    assertArrayEquals(new double[] {policy.sigma(a), policy.sigma(b)}, mixed.sigma().toDoubles());
    assertArrayEquals(new double[] {501, 21}, policy.timesteps(waves.x(), a, b).toDoubles());
    // The reference code's log-probabilities of this very batch, in float32.
    Tensor noise = waves.noise().mul(mixed.sigma().reshape(2, 1, 1, 1));
    assertArrayEquals(
        new double[] {-.0566147901, 1.95338011},
        policy.logProb(mixed.mean().add(noise), mixed).toDoubles(),
        5e-6);
    assertThrows(ReverieException.class, () -> policy.step(waves.x(), waves.output(), a, b, a));
  }
}
