// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.util.List;
import reverie.app.reward.BuiltInReward;
import reverie.rl.reward.ProcessReward;
import reverie.rl.reward.Reward;

/**
 * A reward that was asked for.
 *
 * @param name which
 * @param command the user's program and its arguments, for {@link BuiltInReward#COMMAND}
 * @param label what reports call it; empty for its name
 */
public record RewardChoice(BuiltInReward name, List<String> command, String label) {
  /** Checks that there is a program where one is needed. */
  public RewardChoice {
    command = List.copyOf(command);
    if (name == BuiltInReward.COMMAND && (command.isEmpty() || command.getFirst().isBlank())) {
      throw new ConfigurationException(
          "reward: the name is 'command', but reward.command is empty",
          "for example --set 'reward.command=[python3, my_reward.py]'");
    }
  }

  /** A reward without a program. */
  public static RewardChoice of(BuiltInReward name) {
    return new RewardChoice(name, List.of(), "");
  }

  /** What logs and reports call it. */
  public String title() {
    return label.isEmpty() ? name.toString() : label;
  }

  /** Makes the reward; a {@link ProcessReward} is to be closed. */
  public Reward make() {
    return name == BuiltInReward.COMMAND ? new ProcessReward(title(), command) : name.make();
  }
}
