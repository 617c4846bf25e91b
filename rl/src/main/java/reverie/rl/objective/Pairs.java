// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import reverie.rl.objective.ChainObjective.Chains;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;

/**
 * All pairs of chains of one group of which the first earned more. Chains that earned the same are
 * no pair, so that a group without any difference has none.
 *
 * @param winners chains by number
 * @param losers chains by number
 * @param gaps Δr, above 0
 * @param weights of each pair in the mean over the pairs of a group, then over all groups, those
 *     without pairs included
 */
record Pairs(int[] winners, int[] losers, double[] gaps, double[] weights) {

  static Pairs of(Chains chains) {
    double[] rewards = chains.rewards();
    int[] groups = chains.groups();
    List<int[]> pairs = new ArrayList<>();
    Map<Integer, Integer> perGroup = new HashMap<>();
    for (int i = 0; i < rewards.length; i++) {
      perGroup.merge(groups[i], 0, Integer::sum);
      for (int j = 0; j < rewards.length; j++) {
        if (groups[i] == groups[j] && rewards[i] > rewards[j]) {
          pairs.add(new int[] {i, j});
          perGroup.merge(groups[i], 1, Integer::sum);
        }
      }
    }
    return new Pairs(
        pairs.stream().mapToInt(pair -> pair[0]).toArray(),
        pairs.stream().mapToInt(pair -> pair[1]).toArray(),
        pairs.stream().mapToDouble(pair -> rewards[pair[0]] - rewards[pair[1]]).toArray(),
        pairs.stream()
            .mapToDouble(pair -> 1.0 / perGroup.get(groups[pair[0]]) / perGroup.size())
            .toArray());
  }

  int size() {
    return winners.length;
  }

  /** Winner minus loser of each pair: {@code [pairs, n]} for {@code [B, n]}. */
  Tensor difference(Tensor values) {
    return rows(values, winners).sub(rows(values, losers));
  }

  /**
   * The mean over pairs, then groups; 0 if there is no pair at all.
   *
   * @param losses {@code [pairs, n]}; their mean over n is taken too
   */
  Tensor mean(Tensor losses) {
    double[] share = Arrays.stream(weights).map(w -> w / losses.dim(1)).toArray();
    return losses.mul(losses.device().tensor(share, share.length, 1)).sum();
  }

  private static Tensor rows(Tensor values, int... numbers) {
    return Ops.embedding(values, values.device().indices(numbers, numbers.length));
  }
}
