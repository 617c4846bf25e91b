// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reverie.tensor.Device;
import reverie.tensor.Scope;

/**
 * Chains against numbers of diffusers' PNDMScheduler (skip_prk_steps), whose formulas were carried
 * out in float64.
 */
class PndmTest {
  private static final SchedulerConfig CONFIG = SchedulerConfig.stableDiffusion();

  private static void assertChain(ReversePolicy policy, double... expected) {
    Device device = Device.reference();
    assertEquals(0, policy.decisions().length);
    try (Scope _ = Scope.open("test")) {
      Trajectory chain =
          new Sampler(policy, device)
              .from(DpmSolverTest.MODEL, null, device.tensor(new double[] {1.3}, 1, 1));
      double[] actual =
          IntStream.range(0, policy.steps()).mapToDouble(i -> chain.after(i).item()).toArray();
      assertArrayEquals(expected, actual, 1e-11);
    }
  }

  @Test
  void everyStepHasTheNumbersOfDiffusers() {
    double[] steps = {
      1.5144407057860438,
      1.5417057653214075,
      1.8393396077377655,
      2.097917299878941,
      2.240965591874848,
      2.1517487594938447,
      2.144613585955694
    };
    assertChain(ReversePolicy.pndm(CONFIG, 6), steps);
    steps[6] = 2.1261755369081707;
    assertChain(ReversePolicy.pndm(CONFIG.withEndsClean(true), 6), steps);
  }

  @Test
  void soHaveTheShortestChains() {
    assertChain(ReversePolicy.pndm(CONFIG, 1), 1.2929164960833737);
    assertChain(
        ReversePolicy.pndm(CONFIG, 2), 1.0869039363744364, 1.3085874137765665, 1.3030043370078412);
  }
}
