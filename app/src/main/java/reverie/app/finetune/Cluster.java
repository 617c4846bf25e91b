// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import reverie.app.config.ConfigurationException;
import reverie.app.text.CachedEncoder;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.FleetProvider;
import reverie.rl.learn.LocalFleet;
import reverie.rl.reward.NormalizedReward;
import reverie.rl.reward.NormalizedReward.Spread;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;

/**
 * Where runs compute.
 *
 * @param url of the master of a cluster of Spark; null for this machine alone
 * @param settings of Spark
 */
public record Cluster(String url, Map<String, String> settings) {
  /** This machine alone. */
  public static final Cluster LOCAL = new Cluster(null, Map.of());

  /**
   * The fleet of a run, closed with it.
   *
   * @param yaml the run's configuration, of which {@link RunJob} makes another machine's job
   * @param identity that every such job must have
   * @throws ConfigurationException if the module for Spark is missing
   */
  Fleet fleet(Fleet.Job job, String yaml, Map<String, String> identity) {
    if (url == null) {
      return new LocalFleet(job);
    }
    return ServiceLoader.load(FleetProvider.class)
        .findFirst()
        .orElseThrow(() ->
            new ConfigurationException(
                "--spark " + url + ": Reverie's module for Spark is not on the class path",
                "start by ./reverie, which adds it, or by spark-submit; see docs/scaling.md"))
        .fleet(
            url, settings, job, () -> new Source(yaml, Map.copyOf(identity), units(job.reward())));
  }

  /** Means and deviations, which are known once the base model was measured. */
  private static List<double[]> units(Reward reward) {
    return NormalizedReward.within(reward).stream()
        .map(part -> part.spread().orElseThrow())
        .map(spread -> new double[] {spread.mean(), spread.deviation()})
        .toList();
  }

  /** What a run's configuration says. */
  private record Source(String yaml, Map<String, String> identity, List<double[]> units)
      implements FleetProvider.JobSource {
    @Override
    public FleetProvider.Opened open() {
      RunJob own =
          new RunJob(
              yaml,
              identity,
              units.stream().map(unit -> new Spread(unit[0], unit[1])).toList(),
              CachedEncoder.miniLm(),
              Device.best());
      return new FleetProvider.Opened(own.job(), own);
    }
  }
}
