// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/**
 * Whether a drawn image is what its prompt asked for, without any learnt judge: the nearest real
 * image by pixel distance (L2) should carry the prompt's first word (the object) and its last word
 * (the badge). Where several real images are equally near (two Silk icons are the same image under
 * two names) one with the right word is enough.
 */
public final class Retrieval {
  private final ImageSet real;

  /**
   * Compares with these images.
   *
   * @param real all the real images, also those not trained on
   */
  public Retrieval(ImageSet real) {
    this.real = real;
  }

  /**
   * Shares of images whose nearest real one has the right word.
   *
   * @param firstWord the object
   * @param lastWord the badge; the object again for a prompt of one word
   */
  public record Result(Estimate firstWord, Estimate lastWord) {}

  /**
   * Judges drawn images.
   *
   * @param images {@code [n, height, width, 3]} in [−1, 1]
   * @param prompts the n prompts they were drawn for
   * @return the shares over all n
   */
  public Result evaluate(float[] images, List<String> prompts) {
    requireSize(images, prompts);
    int each = images.length / prompts.size();
    int first = (int) Arrays.stream(firstWords(images, prompts)).sum();
    int last = 0;
    for (int i = 0; i < prompts.size(); i++) {
      String prompt = prompts.get(i);
      List<String> nearest = nearest(images, i * each);
      last += nearest.stream().anyMatch(real -> lastWord(real).equals(lastWord(prompt))) ? 1 : 0;
    }
    return new Result(
        Estimate.proportion(first, prompts.size()), Estimate.proportion(last, prompts.size()));
  }

  /**
   * Whether the nearest real image has the prompt's first word.
   *
   * @param images {@code [n, height, width, 3]} in [−1, 1]
   * @param prompts the n prompts they were drawn for
   * @return 1 or 0 for each
   */
  public double[] firstWords(float[] images, List<String> prompts) {
    requireSize(images, prompts);
    int each = images.length / Math.max(1, prompts.size());
    return IntStream.range(0, prompts.size())
        .mapToDouble(i ->
            nearest(images, i * each).stream()
                    .anyMatch(name -> firstWord(name).equals(firstWord(prompts.get(i))))
                ? 1
                : 0)
        .toArray();
  }

  private void requireSize(float[] images, List<String> prompts) {
    int each = real.height() * real.width() * ImageSet.CHANNELS;
    if (images.length != prompts.size() * each) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "retrieval: %d prompts need %d values, but %d came",
              prompts.size(),
              prompts.size() * each,
              images.length));
    }
  }

  /** Prompts of the real images that are nearest to the one beginning at {@code offset}. */
  private List<String> nearest(float[] images, int offset) {
    double[] distances =
        real.items().stream()
            .mapToDouble(item -> squaredDistance(item.pixels(), images, offset))
            .toArray();
    double least = Arrays.stream(distances).min().orElseThrow();
    return IntStream.range(0, distances.length)
        .filter(i -> distances[i] == least)
        .mapToObj(i -> real.items().get(i).prompt())
        .toList();
  }

  private static double squaredDistance(float[] real, float[] images, int offset) {
    double sum = 0;
    for (int i = 0; i < real.length; i++) {
      double difference = real[i] - images[offset + i];
      sum += difference * difference;
    }
    return sum;
  }

  private static String firstWord(String prompt) {
    int end = prompt.indexOf(' ');
    return end < 0 ? prompt : prompt.substring(0, end);
  }

  private static String lastWord(String prompt) {
    return prompt.substring(prompt.lastIndexOf(' ') + 1);
  }
}
