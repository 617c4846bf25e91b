// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every objective against an optimum known on paper. */
class ProofsTest {
  static List<Proof> proofs() {
    return Proofs.all();
  }

  @ParameterizedTest
  @MethodSource("proofs")
  void holds(Proof proof) {
    Proof.Result result = proof.run();
    assertTrue(result.holds(), () -> proof.name() + ": " + result);
    assertTrue(result.error() >= Math.abs(result.reached() - result.exact()));
  }

  @Test
  void whatIsNotANumberHoldsNever() {
    assertFalse(Proof.Result.of("x", Double.NaN, 0, 1).holds());
    assertFalse(new Proof.Result("x", 0, 0, Double.NaN, 1).holds());
    assertFalse(Proof.Result.of("x", 1, 0, 0.5).holds());
    assertTrue(Proof.Result.of("x", 1, 0.5, 0.5).holds());
  }
}
