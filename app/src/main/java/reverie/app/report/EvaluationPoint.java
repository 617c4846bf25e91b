// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import reverie.app.data.Estimate;
import reverie.app.run.Metrics;

/**
 * What was measured on fixed prompts and seeds after some epochs: one point of the frontier.
 *
 * @param epoch updates' epochs so far; 0 is the base model
 * @param reward on training prompts
 * @param heldout reward on held-out prompts
 * @param retrieval share of images whose nearest real image has the right first word
 * @param klToBase mean KL divergence to the base model per step and element, in nats
 */
public record EvaluationPoint(
    int epoch, Estimate reward, Estimate heldout, Estimate retrieval, double klToBase) {

  static final String PREFIX = "evaluation/";

  /**
   * As metrics to log at step {@link #epoch}.
   *
   * @return name to value
   */
  public Map<String, Double> toMetrics() {
    Map<String, Double> values = new LinkedHashMap<>();
    put(values, "reward", reward);
    put(values, "heldout", heldout);
    put(values, "retrieval", retrieval);
    values.put(PREFIX + "kl_to_base", klToBase);
    return values;
  }

  /**
   * The point of a line of metrics.
   *
   * @param line of a run's metrics
   * @return the point, if an evaluation was made at that step
   */
  public static Optional<EvaluationPoint> of(Metrics.Line line) {
    Map<String, Double> values = line.values();
    if (!values.containsKey(PREFIX + "reward")) {
      return Optional.empty();
    }
    return Optional.of(
        new EvaluationPoint(
            (int) line.step(),
            get(values, "reward"),
            get(values, "heldout"),
            get(values, "retrieval"),
            values.getOrDefault(PREFIX + "kl_to_base", Double.NaN)));
  }

  private static void put(Map<String, Double> values, String name, Estimate estimate) {
    values.put(PREFIX + name, estimate.mean());
    values.put(PREFIX + name + "_ci95_low", estimate.low());
    values.put(PREFIX + name + "_ci95_high", estimate.high());
    values.put(PREFIX + name + "_n", (double) estimate.n());
  }

  private static Estimate get(Map<String, Double> values, String name) {
    return new Estimate(
        values.getOrDefault(PREFIX + name, Double.NaN),
        values.getOrDefault(PREFIX + name + "_ci95_low", Double.NaN),
        values.getOrDefault(PREFIX + name + "_ci95_high", Double.NaN),
        values.getOrDefault(PREFIX + name + "_n", 0.0).intValue());
  }
}
