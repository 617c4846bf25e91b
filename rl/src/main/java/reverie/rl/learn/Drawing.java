// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import reverie.rl.Policy;
import reverie.rl.prompt.Prompt;
import reverie.tensor.Rng;

/**
 * The samples that an epoch draws, as prompts and addresses of chance: from these and the weights
 * any machine draws the same.
 *
 * @param prompts one per sample
 * @param rows where the chance of each sample begins
 * @param starts where the noise of each sample's x_T comes from
 * @param rewards what the samples are known to earn, if they were scored before; else null
 * @param decisions the steps of the chain that chance enters; null for all
 */
public record Drawing(
    List<Prompt> prompts, Rng[] rows, Rng[] starts, double[] rewards, int[] decisions)
    implements Serializable {
  /**
   * Samples whose chance is addressed by their prompt and by how many came before of this prompt.
   *
   * @param sharing so many samples in a row start from the same x_T
   * @param rng the epoch's generator
   * @param rewards known ones or null
   */
  static Drawing of(List<Prompt> prompts, int sharing, Rng rng, double[] rewards) {
    Map<String, Integer> seen = new HashMap<>();
    Rng[] rows =
        prompts.stream()
            .map(prompt -> rng.fork(prompt.text()).fork(seen.merge(prompt.text(), 1, Integer::sum)))
            .toArray(Rng[]::new);
    Rng[] starts = new Rng[rows.length];
    Arrays.setAll(starts, i -> rows[i / sharing * sharing]);
    return new Drawing(List.copyOf(prompts), rows, starts, rewards, null);
  }

  /** The same along a chain that chance enters in these steps only. */
  Drawing deciding(int... steps) {
    return new Drawing(prompts, rows, starts, rewards, steps);
  }

  /** The policy along its chain, with chance in the steps that are told. */
  Policy along(Policy policy) {
    if (decisions == null) {
      return policy;
    }
    return policy.along(
        policy.process().deciding(step -> Arrays.binarySearch(decisions, step) >= 0));
  }

  /** The same in parts of so many samples, the last of what is left. */
  public List<Drawing> batches(int size) {
    List<Drawing> batches = new ArrayList<>();
    for (int from = 0; from < prompts.size(); from += size) {
      batches.add(range(from, Math.min(from + size, prompts.size())));
    }
    return batches;
  }

  /** Samples {@code from} to {@code to − 1} alone. */
  public Drawing range(int from, int to) {
    return new Drawing(
        List.copyOf(prompts.subList(from, to)),
        Arrays.copyOfRange(rows, from, to),
        Arrays.copyOfRange(starts, from, to),
        rewards == null ? null : Arrays.copyOfRange(rewards, from, to),
        decisions);
  }
}
