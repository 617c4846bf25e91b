// SPDX-License-Identifier: Apache-2.0
package reverie.rl.advantage;

import java.util.List;

/** No baseline and no scale: the advantage is the reward itself. */
public record RawAdvantages() implements Advantages {
  @Override
  public String name() {
    return "none";
  }

  @Override
  public double[] of(List<String> prompts, double[] rewards) {
    Advantages.check(name(), prompts, rewards);
    return rewards.clone();
  }
}
