// SPDX-License-Identifier: Apache-2.0
package reverie.app.evaluate;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleFunction;
import java.util.function.IntConsumer;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import reverie.app.data.Estimate;
import reverie.app.data.ImageSize;
import reverie.app.data.PngImages;
import reverie.app.data.Recognition;
import reverie.app.model.ImageSampler;
import reverie.app.report.Gallery;
import reverie.diffusion.Denoiser;
import reverie.rl.learn.Drawing;
import reverie.rl.learn.Fleet;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.rl.reward.RewardRunner;
import reverie.tensor.Device;
import reverie.tensor.Rng;

/**
 * Measures a model on fixed prompts and seeds: the reward, and whether the images still show what
 * was asked for. Two models measured by the same evaluation draw from the same noise.
 *
 * @param sampler draws
 * @param device where
 * @param reward scores
 * @param timeout of the reward for one batch
 * @param recognition tells what is seen; null where there are no real images to compare with
 * @param seed of all noise
 */
public record Evaluation(
    ImageSampler sampler,
    Device device,
    Reward reward,
    Duration timeout,
    Recognition recognition,
    long seed) {

  /**
   * What was drawn and measured.
   *
   * @param prompts what was asked for
   * @param pixels what came, in [−1, 1]
   * @param rewards of each image
   * @param reward their mean
   * @param recognised 1 for each image with the right first part, else 0; none where nothing can
   *     tell
   * @param shares of images with each right part, by its name; none where nothing can tell
   */
  public record Result(
      List<Prompt> prompts,
      float[] pixels,
      double[] rewards,
      Estimate reward,
      double[] recognised,
      Map<String, Estimate> shares) {}

  /** What is measured where there is nothing to measure. */
  public static final Estimate NOTHING = new Estimate(Double.NaN, Double.NaN, Double.NaN, 0);

  /**
   * Draws an image for each prompt and measures them all.
   *
   * @param denoiser the model, without guidance
   * @param prompts at least two
   * @param progress gets after each batch how many images are drawn
   * @return images and measures
   */
  public Result of(Denoiser denoiser, List<Prompt> prompts, IntConsumer progress) {
    List<String> texts = prompts.stream().map(Prompt::text).toList();
    float[] pixels = sampler.draw(denoiser, device, texts, seed, progress);
    return of(
        prompts,
        pixels,
        score(reward, timeout, prompts, pixels, sampler.size(), sampler.batchSize()));
  }

  /**
   * The same with images that a fleet draws, of the same prompts and chance.
   *
   * @param model whose
   */
  public Result of(Fleet fleet, Fleet.Under model, List<Prompt> prompts, IntConsumer progress) {
    Rng[] rows = ImageSampler.rows(prompts.stream().map(Prompt::text).toList(), seed);
    Fleet.Evaluated drawn =
        fleet.evaluate(model, new Drawing(prompts, rows, rows, null, null), progress);
    return of(prompts, drawn.images(), drawn.rewards());
  }

  private Result of(List<Prompt> prompts, float[] pixels, double[] rewards) {
    List<String> texts = prompts.stream().map(Prompt::text).toList();
    double[][] found = recognition == null ? new double[0][] : recognition.of(pixels, texts);
    return new Result(
        prompts,
        pixels,
        rewards,
        Estimate.mean(rewards),
        Arrays.stream(found).mapToDouble(parts -> parts[0]).toArray(),
        recognition == null ? Map.of() : recognition.shares(found));
  }

  /**
   * Has images scored.
   *
   * @param reward scores
   * @param timeout of the reward for one batch
   * @param prompts one for each image
   * @param pixels {@code [n, h, w, 3]} in [−1, 1]
   * @param size of an image
   * @param batchSize images in one batch
   * @return a score for each image
   */
  public static double[] score(
      Reward reward,
      Duration timeout,
      List<Prompt> prompts,
      float[] pixels,
      ImageSize size,
      int batchSize) {
    int each = pixels.length / prompts.size();
    List<RewardRunner.Pending> pending = new ArrayList<>();
    try (RewardRunner runner = new RewardRunner(reward, timeout)) {
      for (int from = 0; from < prompts.size(); from += batchSize) {
        int to = Math.min(from + batchSize, prompts.size());
        float[] unit = Arrays.copyOfRange(pixels, from * each, to * each);
        for (int i = 0; i < unit.length; i++) {
          unit[i] = (unit[i] + 1) / 2;
        }
        pending.add(
            runner.submit(
                RewardBatch.of(unit, size.height(), size.width(), 3, prompts.subList(from, to))));
      }
      List<Double> scores = new ArrayList<>();
      for (RewardRunner.Pending batch : pending) {
        Arrays.stream(batch.await()).forEach(scores::add);
      }
      return scores.stream().mapToDouble(Double::doubleValue).toArray();
    }
  }

  /**
   * The first images of a result, for the report.
   *
   * @param name of the gallery
   * @param result what was drawn
   * @param count how many at most
   * @param note what to write below an image, from its reward
   * @return the gallery
   */
  public Gallery gallery(String name, Result result, int count, DoubleFunction<String> note) {
    List<Gallery.Item> list = new ArrayList<>();
    var images = PngImages.fromModel(result.pixels(), sampler.size());
    for (int i = 0; i < Math.min(count, images.size()); i++) {
      list.add(
          new Gallery.Item(
              result.prompts().get(i).text(), note.apply(result.rewards()[i]), images.get(i)));
    }
    return new Gallery(name, list);
  }

  /**
   * The same prompts every time for the same seed, each once before any comes twice.
   *
   * @param prompts to choose from
   * @param n how many
   * @param seed of the choice
   * @return n prompts
   */
  public static List<Prompt> choose(List<Prompt> prompts, int n, long seed) {
    IntUnaryOperator order = Rng.of(seed).fork("evaluation").order(prompts.size());
    return IntStream.range(0, n)
        .mapToObj(i -> prompts.get(order.applyAsInt(i % prompts.size())))
        .toList();
  }
}
