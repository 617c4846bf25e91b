// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import java.io.Serializable;
import java.util.List;
import java.util.Locale;
import reverie.rl.prompt.Prompt;
import reverie.tensor.ReverieException;

/**
 * What a reward is asked to judge: finished samples and the prompts they were drawn for, in the
 * same order.
 *
 * @param images the images as bytes
 * @param values the same samples in [0, 1] as the model left them, neither rounded nor clamped,
 *     {@code count * height * width * channels} of them: for rewards that need more than 8 bits
 * @param prompts one per sample, with the metadata its source gave it
 */
public record RewardBatch(Images images, float[] values, List<Prompt> prompts)
    implements Serializable {

  /** Checks that everything counts the same samples. */
  public RewardBatch {
    if (prompts.size() != images.count() || values.length != images.pixels().length) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "reward batch: %d images, %d prompts and %d values for %d pixels",
              images.count(),
              prompts.size(),
              values.length,
              images.pixels().length));
    }
    prompts = List.copyOf(prompts);
  }

  /** Rounds samples in [0, 1], channels last, to images. */
  public static RewardBatch of(
      float[] values, int height, int width, int channels, List<Prompt> prompts) {
    return new RewardBatch(
        Images.rounded(values, prompts.size(), height, width, channels), values, prompts);
  }

  /** How many samples there are to score. */
  public int size() {
    return prompts.size();
  }
}
