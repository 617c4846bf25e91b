// SPDX-License-Identifier: Apache-2.0
package reverie.app.recipe;

import java.awt.image.BufferedImage;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.Stream;
import reverie.app.data.PreferenceFile;
import reverie.app.report.Images;
import reverie.diffusion.Denoiser;
import reverie.rl.prompt.Prompt;

/** Makes preferences without people: two pictures a prompt, of which a reward prefers one. */
public final class Preferences {
  private Preferences() {}

  /**
   * Draws pairs and has them judged. Pairs that the reward cannot tell apart are left out.
   *
   * @param evaluation draws and scores
   * @param denoiser the model, without guidance
   * @param prompts one for each pair; the same prompt may come several times
   * @param progress is told after each batch how many pictures are drawn
   * @return pairs in the order of the prompts
   */
  public static List<PreferenceFile.Judged> draw(
      Evaluation evaluation, Denoiser denoiser, List<Prompt> prompts, IntConsumer progress) {
    List<Prompt> twice = prompts.stream().flatMap(prompt -> Stream.of(prompt, prompt)).toList();
    Evaluation.Result drawn = evaluation.of(denoiser, twice, progress);
    int size = evaluation.pictures().size();
    List<BufferedImage> pictures = Images.fromModel(drawn.pixels(), size, size);
    List<PreferenceFile.Judged> pairs = new ArrayList<>();
    for (int i = 0; i < twice.size(); i += 2) {
      double first = drawn.rewards()[i];
      double second = drawn.rewards()[i + 1];
      if (first != second) {
        pairs.add(
            new PreferenceFile.Judged(
                twice.get(i).text(),
                pictures.get(i),
                pictures.get(i + 1),
                first > second ? 0 : 1,
                first,
                second));
      }
    }
    return pairs;
  }
}
