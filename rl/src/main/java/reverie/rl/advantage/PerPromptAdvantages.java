// SPDX-License-Identifier: Apache-2.0
package reverie.rl.advantage;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import reverie.rl.Statistics;
import reverie.tensor.ReverieException;

/**
 * {@code (r - mean) / (std + 1e-6)} over the last rewards of the same prompt, those of this epoch
 * included (DDPO §5, the tracker of ddpo-pytorch). A prompt with fewer than {@code minimum} rewards
 * on record is measured against all samples of the epoch instead.
 */
public final class PerPromptAdvantages implements Advantages {
  private static final double EPSILON = 1e-6;

  private final int capacity;
  private final int minimum;
  private final Map<String, double[]> buffers = new TreeMap<>();

  /**
   * An empty record.
   *
   * @param capacity how many rewards of a prompt are remembered
   * @param minimum how many a prompt needs before its own statistics are used
   */
  public PerPromptAdvantages(int capacity, int minimum) {
    if (capacity < 1 || minimum < 1 || minimum > capacity) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "advantages: per_prompt expects 1 <= minimum <= capacity, got minimum %d, capacity %d",
              minimum,
              capacity));
    }
    this.capacity = capacity;
    this.minimum = minimum;
  }

  @Override
  public String name() {
    return "per_prompt";
  }

  @Override
  public double[] of(List<String> prompts, double[] rewards) {
    Advantages.check(name(), prompts, rewards);
    GroupAdvantages.groups(prompts, rewards)
        .forEach((prompt, group) -> buffers.merge(prompt, last(group), this::joined));
    double batchMean = Statistics.mean(rewards);
    double batchStd = Statistics.std(rewards, 0);
    double[] advantages = new double[rewards.length];
    for (int i = 0; i < rewards.length; i++) {
      double[] own = buffers.get(prompts.get(i));
      boolean known = own.length >= minimum;
      double mean = known ? Statistics.mean(own) : batchMean;
      double std = known ? Statistics.std(own, 0) : batchStd;
      advantages[i] = (rewards[i] - mean) / (std + EPSILON);
    }
    return advantages;
  }

  @Override
  public Map<String, double[]> state() {
    Map<String, double[]> state = new TreeMap<>();
    buffers.forEach((prompt, rewards) -> state.put(prompt, rewards.clone()));
    return state;
  }

  @Override
  public void restore(Map<String, double[]> state) {
    buffers.clear();
    state.forEach((prompt, rewards) -> buffers.put(prompt, last(rewards)));
  }

  private double[] joined(double[] old, double[] added) {
    double[] all = Arrays.copyOf(old, old.length + added.length);
    System.arraycopy(added, 0, all, old.length, added.length);
    return last(all);
  }

  private double[] last(double[] rewards) {
    return Arrays.copyOfRange(rewards, Math.max(0, rewards.length - capacity), rewards.length);
  }

  @Override
  public String toString() {
    return "PerPromptAdvantages[capacity=" + capacity + ", minimum=" + minimum + "]";
  }
}
