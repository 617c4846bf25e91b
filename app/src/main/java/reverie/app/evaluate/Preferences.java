// SPDX-License-Identifier: Apache-2.0
package reverie.app.evaluate;

import java.awt.image.BufferedImage;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import reverie.app.data.ImageSet;
import reverie.app.data.ImageSize;
import reverie.app.data.PngImages;
import reverie.app.data.PreferenceFile;
import reverie.diffusion.Denoiser;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Reward;
import reverie.tensor.ReverieException;

/** Makes preferences without people: two images a prompt, of which a reward prefers one. */
public final class Preferences {
  private Preferences() {}

  /**
   * Draws pairs and has them judged. Pairs that the reward cannot tell apart are left out.
   *
   * @param evaluation draws and scores
   * @param denoiser the model, without guidance
   * @param prompts one for each pair; the same prompt may come several times
   * @param progress gets after each batch how many images are drawn
   * @return pairs in the order of the prompts
   */
  public static List<PreferenceFile.Judged> draw(
      Evaluation evaluation, Denoiser denoiser, List<Prompt> prompts, IntConsumer progress) {
    List<Prompt> twice = prompts.stream().flatMap(prompt -> Stream.of(prompt, prompt)).toList();
    Evaluation.Result drawn = evaluation.of(denoiser, twice, progress);
    return judged(twice, drawn.pixels(), drawn.rewards(), evaluation.sampler().size());
  }

  /**
   * Has images judged that are there already: of every prompt the first with the second, the third
   * with the fourth, and so on. Pairs that the reward cannot tell apart are left out.
   *
   * @param images several of one prompt
   * @param reward scores them
   * @param timeout of the reward for one batch
   * @param batchSize images in one batch
   * @return pairs in the order of the prompts
   * @throws ReverieException if no prompt has two images
   */
  public static List<PreferenceFile.Judged> of(
      ImageSet images, Reward reward, Duration timeout, int batchSize) {
    Map<String, List<Integer>> byPrompt = new LinkedHashMap<>();
    for (int i = 0; i < images.size(); i++) {
      byPrompt.computeIfAbsent(images.items().get(i).prompt(), _ -> new ArrayList<>()).add(i);
    }
    int[] rows =
        byPrompt.values().stream()
            .flatMap(list -> list.subList(0, list.size() / 2 * 2).stream())
            .mapToInt(i -> i)
            .toArray();
    if (rows.length == 0) {
      throw new ReverieException(
          "preferences: no prompt has two images, so that there is nothing to choose",
          "give two images or more the same text in metadata.jsonl");
    }
    List<Prompt> prompts =
        IntStream.of(rows).mapToObj(i -> new Prompt(images.items().get(i).prompt())).toList();
    float[] pixels = images.batch(rows);
    ImageSize size = new ImageSize(images.width(), images.height());
    double[] scores = Evaluation.score(reward, timeout, prompts, pixels, size, batchSize);
    return judged(prompts, pixels, scores, size);
  }

  /** Images 2i and 2i + 1 are pair i. */
  private static List<PreferenceFile.Judged> judged(
      List<Prompt> prompts, float[] pixels, double[] scores, ImageSize size) {
    List<BufferedImage> images = PngImages.fromModel(pixels, size);
    List<PreferenceFile.Judged> pairs = new ArrayList<>();
    for (int i = 0; i < scores.length; i += 2) {
      if (scores[i] != scores[i + 1]) {
        pairs.add(
            new PreferenceFile.Judged(
                prompts.get(i).text(),
                images.get(i),
                images.get(i + 1),
                scores[i] > scores[i + 1] ? 0 : 1,
                scores[i],
                scores[i + 1]));
      }
    }
    return pairs;
  }
}
