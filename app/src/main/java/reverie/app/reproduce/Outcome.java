// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import reverie.app.finetune.Watch;
import reverie.app.report.EvaluationPoint;
import reverie.app.report.Summary;
import reverie.app.run.Metrics;

/**
 * The numbers of a finished run, read from its folder.
 *
 * @param summary before and after
 * @param points the frontier on the way
 * @param klToBase at the last epoch; NaN where it was not measured
 * @param deviation of the reward within a prompt in the last rollout; NaN without repeated prompts
 * @param queriesPerEpoch images scored in an epoch
 */
public record Outcome(
    Summary summary,
    List<EvaluationPoint> points,
    double klToBase,
    double deviation,
    double queriesPerEpoch) {

  /** Reads a run folder; empty if the run has not come to its end. */
  public static Optional<Outcome> read(Path folder) {
    return Summary.read(folder)
        .map(summary -> {
          List<Metrics.Line> lines = Metrics.read(folder);
          Map<String, Double> last = lines.getLast().values();
          double epochs = Math.max(1, lines.getLast().step());
          return new Outcome(
              summary,
              lines.stream().map(EvaluationPoint::of).flatMap(Optional::stream).toList(),
              last.getOrDefault("kl_to_base", Double.NaN),
              lines.reversed().stream()
                  .map(line -> line.values().get(Watch.WITHIN))
                  .filter(Objects::nonNull)
                  .findFirst()
                  .orElse(Double.NaN),
              summary.rewardQueries() / epochs);
        });
  }

  /** One of its numbers. */
  public double value(Metric metric) {
    return switch (metric) {
      case REWARD_GAIN -> summary.rewardAfter().mean() - summary.rewardBefore().mean();
      case SAFE_GAIN -> safeGain();
      case HELDOUT_GAIN -> summary.heldoutAfter().mean() - summary.heldoutBefore().mean();
      case RECOGNISED -> summary.retrievalAfter().mean();
      case RECOGNISED_CHANGE -> summary.retrievalAfter().mean() - summary.retrievalBefore().mean();
      case KL_TO_BASE -> klToBase;
      case DEVIATION -> deviation;
    };
  }

  private double safeGain() {
    double base = points.getFirst().reward().mean();
    return points.stream()
        .filter(point -> point.retrieval().mean() >= Metric.SAFE_SHARE)
        .mapToDouble(point -> point.reward().mean() - base)
        .max()
        .orElse(0);
  }
}
