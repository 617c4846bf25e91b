// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What is logged, against numbers measured with the reference implementations. */
class DiagnosticsTest {
  @Test
  void decisionsAreCountedAsDdpoDoes() {
    var diagnostics = new Diagnostics();
    diagnostics.addDecisions(new double[] {2e-4, -3e-4, -5e-5, 2e-4, -2e-4}, new double[5], 1e-4);
    assertEquals(2.125e-8, diagnostics.approximateKl(), 1e-20);
    assertEquals(.8, diagnostics.clipFraction());
  }

  @Test
  void pairsAreCountedAsDiffusionDpoDoes() {
    double[] chosen = {.10 - .11, .2 - .19, .05 - .05};
    double[] rejected = {.12 - .11, .18 - .2, .07 - .06};
    var diagnostics = new Diagnostics();
    PreferenceLearner.record(diagnostics, chosen, rejected);
    Map<String, Double> more = diagnostics.report(0, 0, 0).more();
    assertEquals(2.0 / 3, more.get("implicit_accuracy"), 1e-15);
    // The numbers were made for this: averaged before they are compared they say nothing.
    assertEquals(0, more.get("excess_chosen"), 1e-15);
    assertEquals(0, more.get("excess_rejected"), 1e-15);
  }

  @Test
  void rewardsAreToldByTheirQuantiles() {
    var diagnostics = new Diagnostics();
    diagnostics.addRewards(new double[] {4, 1, 3, 2, 10}, new double[] {-1, 1});
    Map<String, Double> metrics = diagnostics.report(0, 0, 0).metrics();
    assertEquals(
        List.of(4.0, Math.sqrt(10), 1.0, 2.0, 3.0, 4.0, 10.0),
        Stream.of("mean", "std", "min", "q25", "median", "q75", "max")
            .map(name -> metrics.get("reward_" + name))
            .toList());
    assertEquals(1, metrics.get("advantage_std"));
  }
}
