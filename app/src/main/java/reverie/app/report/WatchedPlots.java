// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import reverie.app.run.Metrics;

/**
 * What moves with a reward that is optimised.
 *
 * @param lines of the run
 */
record WatchedPlots(List<Metrics.Line> lines) {
  /**
   * The reward beside those that are only watched, all in the units in which they varied at first.
   */
  List<Plot> all() {
    List<String> names =
        lines.stream()
            .flatMap(line -> line.values().keySet().stream())
            .filter(name -> name.startsWith(RunReport.WATCHED) && name.endsWith("_mean"))
            .map(name -> name.substring(0, name.length() - "_mean".length()))
            .distinct()
            .toList();
    if (names.isEmpty()) {
      return List.of();
    }
    List<Plot.Series> byEpoch = new ArrayList<>();
    List<Plot.Series> byDistance = new ArrayList<>();
    for (String name : Stream.concat(Stream.of("reward"), names.stream()).toList()) {
      String label =
          name.equals("reward")
              ? "the reward"
              : name.substring(RunReport.WATCHED.length()).replace('_', ' ');
      byEpoch.add(new Plot.Series(label, moved(name, false), false));
      byDistance.add(new Plot.Series(label, moved(name, true), true));
    }
    String unit = "standard deviations from the first epoch";
    return List.of(
        new Plot("The reward, and rewards that were only watched", "epoch", unit, byEpoch),
        new Plot(
            "The same against the distance from the base", "KL to the base", unit, byDistance));
  }

  private List<Plot.Point> moved(String name, boolean byDistance) {
    String mean = name + "_mean";
    List<Metrics.Line> measured =
        lines.stream().filter(line -> line.values().containsKey(mean)).toList();
    Map<String, Double> first = measured.getFirst().values();
    double deviation = first.getOrDefault(name + "_std", 0.0);
    double unit = deviation == 0 ? 1 : deviation;
    return measured.stream()
        .map(line ->
            Plot.Point.of(
                byDistance ? line.values().getOrDefault("kl_to_base", Double.NaN) : line.step(),
                (line.values().get(mean) - first.get(mean)) / unit))
        .toList();
  }
}
