// SPDX-License-Identifier: Apache-2.0
package reverie.rl.advantage;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import reverie.tensor.ReverieException;

/**
 * Turns the rewards of an epoch into what the objectives push on: how much better a sample is than
 * was to be expected.
 *
 * <table><caption>Which is which</caption>
 * <tr><th>class</th><th>expected value</th><th>scale</th><th>when</th></tr>
 * <tr><td>{@link RawAdvantages}</td><td>0</td><td>1</td><td>to see the plain objective</td></tr>
 * <tr><td>{@link BatchAdvantages}</td><td>mean of the epoch</td><td>std of the epoch</td><td>one prompt</td></tr>
 * <tr><td>{@link PerPromptAdvantages}</td><td>mean of the prompt's last rewards</td><td>their std</td>
 * <td>few prompts that come back often (DDPO)</td></tr>
 * <tr><td>{@link GroupAdvantages}</td><td>mean of the prompt's samples in this epoch</td><td>their std or the
 * epoch's</td><td>several samples per prompt, any number of prompts (GRPO, PRDP)</td></tr>
 * </table>
 *
 * <p>Equal rewards give advantages of zero, never NaN.
 */
public interface Advantages {
  /** The name in configuration and logs. */
  String name();

  /**
   * The advantages of one epoch; may remember the rewards for the next.
   *
   * @param prompts the prompt of each sample
   * @param rewards the reward of each sample, finite
   * @return one advantage per sample
   */
  double[] of(List<String> prompts, double[] rewards);

  /** What the next epoch depends on, by prompt; part of a run's state. */
  default Map<String, double[]> state() {
    return Map.of();
  }

  /** Takes up a remembered {@link #state()}. */
  default void restore(Map<String, double[]> state) {
    if (!state.isEmpty()) {
      throw new ReverieException(
          "advantages: "
              + name()
              + " keeps no state, but the run state has rewards of "
              + state.size()
              + " prompts",
          "resume with the advantages of the interrupted run");
    }
  }

  /** Checks that there is one prompt for every reward. */
  static void check(String name, List<String> prompts, double[] rewards) {
    if (prompts.size() != rewards.length) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "advantages: %s got %d prompts for %d rewards",
              name,
              prompts.size(),
              rewards.length));
    }
  }
}
