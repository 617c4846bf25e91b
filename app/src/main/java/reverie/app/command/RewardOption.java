// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.time.Duration;
import java.util.List;
import picocli.CommandLine.Option;
import reverie.app.config.ConfigurationException;
import reverie.app.config.RewardChoice;
import reverie.app.reward.BuiltInReward;
import reverie.rl.reward.Reward;

/** The reward of a command that measures images. */
final class RewardOption {
  /** For one batch. */
  static final Duration TIMEOUT = Duration.ofMinutes(1);

  @Option(
      names = "--reward",
      paramLabel = "NAME",
      description = "${COMPLETION-CANDIDATES}. Default: ${DEFAULT-VALUE}")
  private BuiltInReward name = BuiltInReward.JPEG_COMPRESSIBILITY;

  @Option(
      names = "--reward-command",
      paramLabel = "COMMAND",
      description =
          "A program of yours that scores images, with its arguments: --reward-command 'python3"
              + " my_reward.py'. Reverie finetune --show-config explains how it is asked.")
  private String command = "";

  /** The reward that was asked for; close it if it is {@link AutoCloseable}. */
  Reward reward() {
    return choice().make();
  }

  /** Refuses a reward that compares with the icons where the model draws others. */
  void requireFit(boolean icons) {
    if (choice().name().needsIcons() && !icons) {
      throw new ConfigurationException(
          "--reward "
              + name
              + " compares with the icons that Reverie ships, but the model draws others",
          "choose another reward, or a model of the icons");
    }
  }

  RewardChoice choice() {
    if (command.isBlank() && name == BuiltInReward.COMMAND) {
      throw new ConfigurationException(
          "--reward command: there is no program",
          "name it with --reward-command 'python3 my_reward.py'");
    }
    return command.isBlank()
        ? RewardChoice.of(name)
        : new RewardChoice(BuiltInReward.COMMAND, List.of(command.strip().split("\\s+")), "");
  }
}
