// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.commons.math3.stat.StatUtils;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.VarianceComponents;
import reverie.app.report.RunReport;
import reverie.app.reward.RewardChoice;
import reverie.rl.learn.TrainerListener;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.rl.reward.RewardRunner;

/**
 * Scores the images of every epoch by rewards that are not optimised, and tells how far chance
 * alone moves the one that is.
 */
public final class Watch implements TrainerListener, AutoCloseable {
  /** Deviation of the reward within a prompt, in metrics. */
  public static final String WITHIN = "reward_std_within_prompts";

  private final List<Watched> all;
  private final Map<String, List<Double>> byPrompt = new LinkedHashMap<>();

  private record Watched(String name, Reward reward, RewardRunner runner, List<Double> scores) {}

  private Watch(List<Watched> all) {
    this.all = all;
  }

  /** The rewards that a configuration wants watched. */
  static Watch of(FinetuneConfig config) {
    Watch watch = new Watch(new ArrayList<>());
    try {
      for (RewardChoice choice : config.watch()) {
        watch.add(choice, config);
      }
      return watch;
    } catch (RuntimeException e) {
      watch.close();
      throw e;
    }
  }

  private void add(RewardChoice choice, FinetuneConfig config) {
    String shown = choice.title();
    if (shown.equals(config.reward().title())) {
      throw new ConfigurationException(
          "watch: " + shown + " is the reward that is optimised, and is reported anyway",
          "watch others, colourfulness for instance");
    }
    if (all.stream().anyMatch(other -> other.name.equals(shown))) {
      throw new ConfigurationException(
          "watch: two rewards are called " + shown,
          "give them labels: {http: {url: …}, label: first}");
    }
    Reward reward = choice.make();
    Duration timeout = config.training().rewardTimeout();
    all.add(new Watched(shown, reward, new RewardRunner(reward, timeout), new ArrayList<>()));
  }

  /** What is watched. */
  List<Reward> rewards() {
    return all.stream().map(Watched::reward).toList();
  }

  @Override
  public void scored(int epoch, RewardBatch batch, double[] rewards) {
    for (int i = 0; i < rewards.length; i++) {
      byPrompt
          .computeIfAbsent(batch.prompts().get(i).text(), _ -> new ArrayList<>())
          .add(rewards[i]);
    }
    for (Watched watched : all) {
      for (double score : watched.runner.submit(batch).await()) {
        watched.scores.add(score);
      }
    }
  }

  /** Mean and deviation of each, and the deviation within prompts, since this was asked last. */
  Map<String, Double> take() {
    Map<String, Double> values = new LinkedHashMap<>();
    List<double[]> groups =
        byPrompt.values().stream()
            .filter(scores -> scores.size() > 1)
            .map(scores -> scores.stream().mapToDouble(Double::doubleValue).toArray())
            .toList();
    if (!groups.isEmpty()) {
      values.put(WITHIN, Math.sqrt(VarianceComponents.within(groups)));
    }
    byPrompt.clear();
    for (Watched watched : all) {
      if (!watched.scores.isEmpty()) {
        double[] scores = watched.scores.stream().mapToDouble(Double::doubleValue).toArray();
        String name = RunReport.WATCHED + watched.name;
        values.put(name + "_mean", StatUtils.mean(scores));
        values.put(name + "_std", Math.sqrt(StatUtils.populationVariance(scores)));
        watched.scores.clear();
      }
    }
    return values;
  }

  @Override
  public void close() {
    for (Watched watched : all) {
      watched.runner.close();
      watched.reward.close();
    }
  }
}
