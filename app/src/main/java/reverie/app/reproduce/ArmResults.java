// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import reverie.app.data.Estimate;
import reverie.app.report.EvaluationPoint;
import reverie.app.report.Plot;

/**
 * What the finished runs of an arm came to, over their seeds.
 *
 * @param label of the arm
 * @param outcomes of its runs, none for those that are not finished
 */
record ArmResults(String label, List<Outcome> outcomes) {
  /** What {@link #row} shows. */
  static final List<String> COLUMNS =
      List.of(
          "arm",
          "reward gained",
          "safe gain",
          "held out",
          "recognised",
          "KL to the base",
          "deviation within a prompt",
          "reward queries",
          "minutes a run");

  /** A row of a claim's table. */
  List<String> row() {
    List<String> row = new ArrayList<>();
    row.add(label);
    for (Metric metric :
        List.of(
            Metric.REWARD_GAIN,
            Metric.SAFE_GAIN,
            Metric.HELDOUT_GAIN,
            Metric.RECOGNISED,
            Metric.KL_TO_BASE,
            Metric.DEVIATION)) {
      row.add(Figures.interval(over(outcome -> outcome.value(metric))));
    }
    double queries = over(outcome -> outcome.summary().rewardQueries()).mean();
    row.add(Double.isNaN(queries) ? "–" : String.format(Locale.ROOT, "%,.0f", queries));
    row.add(Figures.of(over(outcome -> outcome.summary().seconds() / 60).mean(), 2));
    return row;
  }

  /** All metrics, as JSON holds them. */
  Map<String, Object> toMap() {
    Map<String, Object> numbers = new LinkedHashMap<>();
    for (Metric metric : Metric.values()) {
      numbers.put(
          metric.name().toLowerCase(Locale.ROOT), over(outcome -> outcome.value(metric)).toMap());
    }
    return numbers;
  }

  /** The reward gained over the reward queries. */
  Plot.Series curve() {
    List<Plot.Point> points = new ArrayList<>();
    byEpoch()
        .forEach((_, evaluations) -> {
          Estimate gain = Evaluation.mean(evaluations, Evaluation::gain);
          points.add(
              new Plot.Point(
                  Evaluation.mean(evaluations, Evaluation::queries).mean(),
                  gain.mean(),
                  gain.low(),
                  gain.high(),
                  ""));
        });
    return new Plot.Series(label, points, false);
  }

  /** The reward gained over the share of images recognised, a point for each epoch. */
  Plot.Series frontier() {
    List<Plot.Point> points = new ArrayList<>();
    byEpoch()
        .forEach((epoch, evaluations) ->
            points.add(
                new Plot.Point(
                    Evaluation.mean(evaluations, Evaluation::recognised).mean(),
                    Evaluation.mean(evaluations, Evaluation::gain).mean(),
                    Double.NaN,
                    Double.NaN,
                    "" + epoch)));
    return new Plot.Series(label, points, true);
  }

  /** One run at an epoch that was evaluated. */
  private record Evaluation(double queries, double recognised, double gain) {
    static Estimate mean(List<Evaluation> of, ToDoubleFunction<Evaluation> value) {
      return estimate(of.stream().mapToDouble(value).toArray());
    }
  }

  private Map<Integer, List<Evaluation>> byEpoch() {
    Map<Integer, List<Evaluation>> byEpoch = new TreeMap<>();
    for (Outcome outcome : outcomes) {
      double base = outcome.points().getFirst().reward().mean();
      for (EvaluationPoint point : outcome.points()) {
        byEpoch
            .computeIfAbsent(point.epoch(), _ -> new ArrayList<>())
            .add(
                new Evaluation(
                    point.epoch() * outcome.queriesPerEpoch(),
                    point.retrieval().mean(),
                    point.reward().mean() - base));
      }
    }
    return byEpoch;
  }

  private Estimate over(ToDoubleFunction<Outcome> value) {
    return estimate(outcomes.stream().mapToDouble(value).toArray());
  }

  private static Estimate estimate(double... values) {
    return switch (values.length) {
      case 0 -> new Estimate(Double.NaN, Double.NaN, Double.NaN, 0);
      case 1 -> new Estimate(values[0], Double.NaN, Double.NaN, 1);
      default -> Estimate.mean(values);
    };
  }
}
