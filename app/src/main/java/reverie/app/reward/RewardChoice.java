// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import reverie.rl.reward.Reward;

/**
 * A reward that was asked for.
 *
 * @param kind what it is, with its settings
 * @param label what reports call it; empty for its own name
 */
public record RewardChoice(RewardKind kind, String label) {
  /** A reward under its own name. */
  public static RewardChoice of(RewardKind kind) {
    return new RewardChoice(kind, "");
  }

  /** What logs and reports call it. */
  public String title() {
    return label.isEmpty() ? kind.title() : label;
  }

  /** Makes the reward, which is to be closed. */
  public Reward make() {
    return kind.make(title());
  }
}
