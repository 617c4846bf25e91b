// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.util.List;
import java.util.Objects;
import reverie.rl.reward.ProcessReward;
import reverie.rl.reward.Reward;
import reverie.tensor.ReverieException;

/**
 * What a program of the user says.
 *
 * @param command the program and its arguments
 */
public record CommandReward(List<String> command) implements RewardKind {
  /** Checks that there is a program. */
  public CommandReward {
    if (command.stream().anyMatch(Objects::isNull)) {
      throw new ReverieException(
          "reward: 'command' has an empty entry", "give each word a value, or leave it out");
    }
    command = List.copyOf(command);
    if (command.isEmpty() || command.getFirst().isBlank()) {
      throw new ReverieException(
          "reward: 'command' names no program",
          "for example --set 'reward.command=[python3, my_reward.py]'");
    }
  }

  @Override
  public String title() {
    return new ProcessReward(command).name();
  }

  @Override
  public Reward make(String name) {
    return new ProcessReward(name, command);
  }
}
