// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.time.Duration;
import java.util.List;
import picocli.CommandLine.Option;
import reverie.app.config.FinetuneConfig;
import reverie.app.recipe.Rewards;
import reverie.rl.reward.Reward;

/** The reward of a command that measures pictures. */
final class RewardOption {
  /** For one batch. */
  static final Duration TIMEOUT = Duration.ofMinutes(1);

  @Option(
      names = "--reward",
      paramLabel = "NAME",
      description = "${COMPLETION-CANDIDATES}. Default: ${DEFAULT-VALUE}")
  private Name name = Name.jpeg_compressibility;

  /** The rewards that need nothing else; named as in configurations. */
  private enum Name {
    jpeg_compressibility,
    jpeg_incompressibility,
    colourfulness,
    recognised
  }

  Reward reward() {
    FinetuneConfig.RewardName chosen =
        switch (name) {
          case jpeg_compressibility -> FinetuneConfig.RewardName.JPEG_COMPRESSIBILITY;
          case jpeg_incompressibility -> FinetuneConfig.RewardName.JPEG_INCOMPRESSIBILITY;
          case colourfulness -> FinetuneConfig.RewardName.COLOURFULNESS;
          case recognised -> FinetuneConfig.RewardName.RECOGNISED;
        };
    return Rewards.of(new FinetuneConfig.Reward(chosen, List.of(), TIMEOUT.toSeconds()));
  }
}
