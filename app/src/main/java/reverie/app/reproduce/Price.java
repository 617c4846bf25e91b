// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import java.util.List;
import java.util.Locale;
import reverie.app.config.FinetuneConfig;
import reverie.app.report.Summary;

/**
 * What the runs cost that are left.
 *
 * @param queries rewards that they ask for
 * @param seconds that finished runs took for each, all things counted; NaN if there is none
 * @param finished how many runs tell that
 */
public record Price(double queries, double seconds, int finished) {
  /** Of all that is left now. */
  public static Price of(Reproduction reproduction) {
    double queries =
        reproduction.left().stream()
            .map(job -> FinetuneConfig.READER.read(null, null, job.settings()).value())
            .mapToDouble(run ->
                (double) run.epochs() * run.prompts().perEpoch() * run.prompts().imagesEach())
            .sum();
    List<Summary> finished =
        reproduction.all().stream()
            .flatMap(job -> reproduction.outcome(job).stream())
            .map(Outcome::summary)
            .toList();
    double seconds =
        finished.stream().mapToDouble(Summary::seconds).sum()
            / finished.stream().mapToDouble(Summary::rewardQueries).sum();
    return new Price(queries, seconds, finished.size());
  }

  /** In a line. */
  @Override
  public String toString() {
    String price = String.format(Locale.ROOT, "%,.0f reward queries", queries);
    return finished == 0
        ? price
        : String.format(
            Locale.ROOT,
            "%s, %.1f hours by the %.4f s of each in %d finished runs",
            price,
            queries * seconds / 3600,
            seconds,
            finished);
  }
}
