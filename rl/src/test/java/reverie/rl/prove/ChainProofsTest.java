// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.rl.Statistics;
import reverie.rl.objective.Ppod.Span;
import reverie.tensor.Device;

/** Objectives of whole chains against optima known on paper. */
class ChainProofsTest {
  static List<Proof> proofs() {
    return ChainProofs.all();
  }

  @ParameterizedTest
  @MethodSource("proofs")
  void holds(Proof proof) {
    Proof.Result result = proof.run();
    assertTrue(result.holds(), () -> proof.name() + ": " + result);
    assertTrue(result.error() >= Math.abs(result.reached() - result.exact()));
  }

  /** With other choices another shift: the exact one is within 4 standard errors of their mean. */
  @Test
  void chanceLeavesTheOptimumInsideItsInterval() {
    double[] shifts =
        LongStream.rangeClosed(1, 4)
            .mapToDouble(seed -> ChainProofs.ppod(Span.CHAIN, 200, seed).run().reached())
            .toArray();
    double error = Statistics.std(shifts, 1) / Math.sqrt(shifts.length);
    assertTrue(error < 0.01, "standard error " + error);
    assertEquals(0.25939, Statistics.mean(shifts), 4 * error);
  }

  /** Steps by themselves take what the others decide for noise. */
  @Test
  void stepsByThemselvesStopShort() {
    try (var gaussian = new GaussianPolicy(Device.reference())) {
      double[] whole = gaussian.chain().optimum(1, ChainProofs.BETA);
      double[] single = ChainProofs.perStep(gaussian.chain());
      for (int i = 0; i < whole.length; i++) {
        assertTrue(single[i] > 0.94 * whole[i] && single[i] < 0.97 * whole[i], "step " + i);
      }
      assertEquals(0.24718, gaussian.shift(single), 1e-5);
    }
  }
}
