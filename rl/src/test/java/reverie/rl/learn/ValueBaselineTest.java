// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Collections;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reverie.rl.objective.ValueFunction;
import reverie.rl.prompt.Prompt;
import reverie.rl.prove.GaussianPolicy;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** The learnt baseline against the conditional mean of a Gaussian chain. */
class ValueBaselineTest {
  private static final int SAMPLES = 512;

  @Test
  void beginsAtZeroAndLearnsWhatASampleWillEarn() {
    var settings = new ValueFunction(16, 1e-2, 300, 128);
    try (var gaussian = new GaussianPolicy(Device.reference());
        var baseline = new ValueBaseline(gaussian.policy(), settings, 1);
        Scope _ = Scope.open("test")) {
      Drawn seen = rollout(gaussian, 1);
      assertTrue(
          Arrays.stream(baseline.values(seen, SAMPLES))
              .flatMapToDouble(Arrays::stream)
              .allMatch(v -> v == 0));
      baseline.fit(seen, seen.rewards(), 0, new Diagnostics());
      Drawn fresh = rollout(gaussian, 2);
      double[][] learnt = baseline.values(fresh, SAMPLES);
      for (int step = 0; step < GaussianPolicy.STEPS; step++) {
        double[] exact = expected(gaussian, fresh, step);
        double squares = 0;
        for (int i = 0; i < SAMPLES; i++) {
          squares += Math.pow(learnt[i][step] - exact[i], 2) / SAMPLES;
        }
        double off = Math.sqrt(squares);
        assertTrue(off < 0.1, "step " + step + ": off by " + off + " of 0.36");
      }
    }
  }

  /** Which samples are looked at says nothing of the steps. */
  @Test
  void everyStepOfAnySampleIsLookedAt() {
    try (var gaussian = new GaussianPolicy(Device.reference());
        var baseline = new ValueBaseline(gaussian.policy(), new ValueFunction(4, 1e-2, 1, 256), 1);
        Scope _ = Scope.open("test")) {
      Drawn drawn = rollout(gaussian, 1);
      Set<Integer> ofTheFirst = new TreeSet<>();
      var noting =
          new ChainStates() {
            @Override
            public Tensor before(int[] samples, int[] steps) {
              IntStream.range(0, samples.length)
                  .filter(i -> samples[i] < SAMPLES / 4)
                  .forEach(i -> ofTheFirst.add(steps[i]));
              return drawn.before(samples, steps);
            }

            @Override
            public Tensor contexts(int... samples) {
              return drawn.contexts(samples);
            }
          };
      baseline.fit(noting, drawn.rewards(), 0, new Diagnostics());
      assertEquals(gaussian.policy().process().decisions().length, ofTheFirst.size());
    }
  }

  @Test
  void theSameSeedGivesTheSameBits() {
    double[][] first = trained(5);
    assertEquals(Arrays.deepToString(first), Arrays.deepToString(trained(5)));
    assertTrue(!Arrays.deepEquals(first, trained(6)));
  }

  private static double[][] trained(long seed) {
    try (var gaussian = new GaussianPolicy(Device.reference());
        var baseline =
            new ValueBaseline(gaussian.policy(), new ValueFunction(4, 1e-2, 3, 16), seed);
        Scope _ = Scope.open("test")) {
      Drawn rollout = rollout(gaussian, 1);
      baseline.fit(rollout, rollout.rewards(), 0, new Diagnostics());
      return baseline.values(rollout, SAMPLES);
    }
  }

  private static Drawn rollout(GaussianPolicy gaussian, long seed) {
    return Drawn.of(
        gaussian.policy(),
        Collections.nCopies(SAMPLES, new Prompt("x")),
        Rng.of(seed),
        SAMPLES,
        GaussianPolicy.SAMPLE);
  }

  /** E[x_0 | x_t]: the rest of the chain without its noise. */
  private static double[] expected(GaussianPolicy gaussian, Drawn rollout, int step) {
    int[] samples = new int[SAMPLES];
    int[] steps = new int[SAMPLES];
    Arrays.setAll(samples, i -> i);
    Arrays.fill(steps, step);
    double[] x = rollout.before(samples, steps).toDoubles();
    double[] factors = gaussian.chain().factors();
    double[] shifts = gaussian.chain().shifts();
    for (int i = step; i < factors.length; i++) {
      for (int j = 0; j < x.length; j++) {
        x[j] = factors[i] * x[j] + shifts[i];
      }
    }
    return x;
  }
}
