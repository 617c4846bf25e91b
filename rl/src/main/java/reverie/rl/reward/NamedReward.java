// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import java.util.List;

/** A reward under another name. */
record NamedReward(String name, Reward reward) implements Reward {
  @Override
  public double[] score(RewardBatch batch) throws Exception {
    return reward.score(batch);
  }

  @Override
  public List<Reward> parts() {
    return List.of(reward);
  }
}
