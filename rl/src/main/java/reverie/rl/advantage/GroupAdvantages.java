// SPDX-License-Identifier: Apache-2.0
package reverie.rl.advantage;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import reverie.rl.Statistics;

/**
 * {@code (r - mean of the group) / (std + 1e-8)} where a group is the samples of one prompt in this
 * epoch.
 *
 * @param scale whose std divides: the group's (GRPO), or the whole epoch's, which keeps prompts
 *     with little variation from shouting (the default of Flow-GRPO)
 * @param deviation population std (divided by n) or sample std (divided by n - 1, as in DanceGRPO)
 */
public record GroupAdvantages(Scale scale, Deviation deviation) implements Advantages {
  private static final double EPSILON = 1e-8;

  /** Whose standard deviation divides. */
  public enum Scale {
    /** The standard deviation of the prompt's samples. */
    GROUP,
    /** The standard deviation of all samples of the epoch. */
    GLOBAL
  }

  /** Which standard deviation. */
  public enum Deviation {
    /** Divided by n. */
    POPULATION,
    /** Divided by n - 1. */
    SAMPLE
  }

  /** Group mean and the epoch's population std. */
  public GroupAdvantages() {
    this(Scale.GLOBAL, Deviation.POPULATION);
  }

  @Override
  public String name() {
    return "group";
  }

  @Override
  public double[] of(List<String> prompts, double[] rewards) {
    Advantages.check(name(), prompts, rewards);
    int freedom = deviation == Deviation.SAMPLE ? 1 : 0;
    Map<String, double[]> groups = groups(prompts, rewards);
    double global = Statistics.std(rewards, freedom);
    double[] advantages = new double[rewards.length];
    for (int i = 0; i < rewards.length; i++) {
      double[] group = groups.get(prompts.get(i));
      double std = scale == Scale.GROUP ? Statistics.std(group, freedom) : global;
      advantages[i] = (rewards[i] - Statistics.mean(group)) / (std + EPSILON);
    }
    return advantages;
  }

  /** The rewards of each prompt, in the order of the samples. */
  static Map<String, double[]> groups(List<String> prompts, double[] rewards) {
    Map<String, double[]> groups = new HashMap<>();
    for (int i = 0; i < rewards.length; i++) {
      double reward = rewards[i];
      groups.merge(
          prompts.get(i),
          new double[] {reward},
          (group, one) -> {
            double[] longer = Arrays.copyOf(group, group.length + 1);
            longer[group.length] = one[0];
            return longer;
          });
    }
    return groups;
  }
}
