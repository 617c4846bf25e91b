// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import reverie.app.data.Estimate;
import reverie.app.run.Metrics;

/**
 * The plots of a run.
 *
 * @param lines of its metrics
 * @param evaluations those of them that measure
 */
record RunPlots(List<Metrics.Line> lines, List<EvaluationPoint> evaluations) {
  private static final Set<String> COUNTERS = Set.of("updates", "reward_queries", "run_seconds");
  private static final Pattern PART = Pattern.compile("(.+)_(min|q25|median|mean|q75|max|seconds)");

  /** The reward and what is recognised, by epoch. */
  List<Plot> learning() {
    List<Plot.Point> training = new ArrayList<>();
    List<Plot.Point> heldout = new ArrayList<>();
    List<Plot.Point> retrieval = new ArrayList<>();
    for (EvaluationPoint point : evaluations) {
      training.add(point(point.epoch(), point.reward(), ""));
      heldout.add(point(point.epoch(), point.heldout(), ""));
      retrieval.add(point(point.epoch(), point.retrieval(), ""));
    }
    return List.of(
        new Plot(
            "Reward on fixed prompts and seeds",
            "epoch",
            "reward, 95 % interval",
            List.of(
                new Plot.Series("training", training, false),
                new Plot.Series("held-out", heldout, false))),
        new Plot(
            "Recognised: nearest real image has the first word",
            "epoch",
            "share",
            List.of(new Plot.Series("training", retrieval, false))));
  }

  /** The reward against what it costs. */
  List<Plot> frontier() {
    List<Plot.Point> againstRetrieval = new ArrayList<>();
    List<Plot.Point> againstKl = new ArrayList<>();
    for (EvaluationPoint point : evaluations) {
      String label = Integer.toString(point.epoch());
      againstRetrieval.add(point(point.retrieval().mean(), point.reward(), label));
      againstKl.add(point(point.klToBase(), point.reward(), label));
    }
    return List.of(
        new Plot(
            "Reward against being recognised, by epoch",
            "share recognised",
            "reward",
            List.of(new Plot.Series("", againstRetrieval, true))),
        new Plot(
            "Reward against distance from the base, by epoch",
            "KL to the base model",
            "reward",
            List.of(new Plot.Series("", againstKl, true))));
  }

  private static Plot.Point point(double x, Estimate y, String label) {
    return new Plot.Point(x, y.mean(), y.low(), y.high(), label);
  }

  /** A plot for every other number; minimum, quartiles and maximum of one thing share theirs. */
  List<Plot> diagnostics() {
    Set<String> names = new LinkedHashSet<>();
    lines.forEach(line -> names.addAll(line.values().keySet()));
    names.removeIf(name ->
        name.startsWith(EvaluationPoint.PREFIX)
            || name.startsWith(RunReport.WATCHED)
            || COUNTERS.contains(name));
    Map<String, List<Plot.Series>> plots = new LinkedHashMap<>();
    for (String name : names) {
      List<Plot.Point> points =
          lines.stream()
              .filter(line -> line.values().containsKey(name))
              .map(line -> Plot.Point.of(line.step(), line.values().get(name)))
              .toList();
      if (points.size() > 1) {
        Matcher part = PART.matcher(name);
        String title =
            !part.matches() ? name : name.endsWith("seconds") ? "seconds" : part.group(1);
        String label =
            !part.matches() ? name : title.equals("seconds") ? part.group(1) : part.group(2);
        plots
            .computeIfAbsent(title, _ -> new ArrayList<>())
            .add(new Plot.Series(label, points, false));
      }
    }
    String axis = evaluations.isEmpty() ? "step" : "epoch";
    return plots.entrySet().stream()
        .map(entry -> new Plot(entry.getKey(), axis, "", entry.getValue()))
        .toList();
  }
}
