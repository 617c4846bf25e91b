// SPDX-License-Identifier: Apache-2.0
package reverie.app.recipe;

import java.util.Arrays;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.Retrieval;
import reverie.app.data.SilkIcons;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Colourfulness;
import reverie.rl.reward.JpegReward;
import reverie.rl.reward.ProcessReward;
import reverie.rl.reward.Reward;

/** The rewards that a configuration can name. */
public final class Rewards {
  private Rewards() {}

  /**
   * Makes a reward. The JPEG rewards count the bytes above a blank picture, minus for
   * compressibility: on icons the header would hide the rest.
   *
   * @param reward the settings
   * @return the reward; a {@link ProcessReward} is to be closed
   */
  public static Reward of(FinetuneConfig.Reward reward) {
    return switch (reward.name()) {
      case JPEG_COMPRESSIBILITY ->
          Reward.named(
              "jpeg_compressibility",
              batch ->
                  Arrays.stream(JpegReward.payloads(batch.images()))
                      .mapToDouble(b -> -b)
                      .toArray());
      case JPEG_INCOMPRESSIBILITY ->
          Reward.named(
              "jpeg_incompressibility",
              batch ->
                  Arrays.stream(JpegReward.payloads(batch.images())).asDoubleStream().toArray());
      case COLOURFULNESS -> new Colourfulness();
      case RECOGNISED -> recognised();
      case COMMAND -> {
        if (reward.command().isEmpty()) {
          throw new ConfigurationException(
              "reward: the name is 'command', but reward.command is empty",
              "for example --set 'reward.command=[python3, my_reward.py]'");
        }
        yield new ProcessReward("command", reward.command());
      }
    };
  }

  private static Reward recognised() {
    Retrieval retrieval = new Retrieval(SilkIcons.all());
    return Reward.named(
        "recognised",
        batch -> {
          float[] pixels = batch.values().clone();
          for (int i = 0; i < pixels.length; i++) {
            pixels[i] = 2 * pixels[i] - 1;
          }
          return retrieval.firstWords(pixels, batch.prompts().stream().map(Prompt::text).toList());
        });
  }
}
