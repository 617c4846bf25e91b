// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Stream;
import picocli.CommandLine.Option;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.reward.BuiltInReward;
import reverie.app.reward.CommandReward;
import reverie.app.reward.RewardChoice;
import reverie.rl.reward.Reward;

/** The reward of a command that measures images. */
final class RewardOption {
  /** The names of rewards that need no settings. */
  static final class Names implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return Stream.of(BuiltInReward.values()).map(BuiltInReward::toString).iterator();
    }
  }

  @Option(
      names = "--reward",
      paramLabel = "REWARD",
      completionCandidates = Names.class,
      description =
          "${COMPLETION-CANDIDATES}, or one with settings, as a configuration writes it: --reward"
              + " '{http: {url: http://127.0.0.1:8000/score}}'. Reverie finetune --show-config"
              + " explains all. Default: jpeg_compressibility")
  private String reward;

  @Option(
      names = "--reward-command",
      paramLabel = "COMMAND",
      description =
          "A program of yours that scores images, with its arguments: --reward-command 'python3"
              + " my_reward.py'. Reverie finetune --show-config explains how it is asked.")
  private String command;

  /** The reward that was asked for, made ready; close it. */
  Reward open() {
    Reward made = choice().make();
    try {
      made.start();
      return made;
    } catch (RuntimeException e) {
      made.close();
      throw e;
    }
  }

  /** How long a batch may take. */
  Duration timeout() {
    return choice().kind().usualTimeout();
  }

  RewardChoice choice() {
    if (reward != null && command != null) {
      throw new ConfigurationException(
          "--reward " + reward + " and --reward-command " + command + ": images have one reward",
          "give one of the two; a sum of rewards is written as --reward '{sum: […]}'");
    }
    if (command != null) {
      return RewardChoice.of(new CommandReward(List.of(command.strip().split("\\s+"))));
    }
    return reward == null
        ? RewardChoice.of(BuiltInReward.JPEG_COMPRESSIBILITY)
        : FinetuneConfig.reward(reward, "--reward");
  }
}
