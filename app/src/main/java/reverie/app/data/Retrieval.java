// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * Whether a drawn image is what its prompt asked for, without any learnt judge: the nearest real
 * image by pixel distance (L2) should carry the prompt's first word (the object) and its last word
 * (the badge). Where several real images are equally near (two Silk icons are the same image under
 * two names) one with the right word is enough.
 */
public final class Retrieval implements Recognition {
  private static final List<String> PARTS = List.of("first_word", "last_word");
  private static final Pattern ARTICLE = Pattern.compile("^(?:an?|the) ", Pattern.CASE_INSENSITIVE);

  private final ImageSet real;

  /**
   * Compares with these images.
   *
   * @param real all the real images, also those not trained on
   */
  public Retrieval(ImageSet real) {
    this.real = real;
  }

  @Override
  public List<String> parts() {
    return PARTS;
  }

  @Override
  public double[][] of(float[] images, List<String> prompts) {
    requireSize(images, prompts);
    int each = images.length / Math.max(1, prompts.size());
    double[][] found = new double[prompts.size()][];
    for (int i = 0; i < found.length; i++) {
      String prompt = prompts.get(i);
      List<String> nearest = nearest(images, i * each);
      found[i] =
          new double[] {
            nearest.stream().anyMatch(real -> firstWord(real).equals(firstWord(prompt))) ? 1 : 0,
            nearest.stream().anyMatch(real -> lastWord(real).equals(lastWord(prompt))) ? 1 : 0
          };
    }
    return found;
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

  /** Without an article: of "a red cat" it is "red". */
  private static String firstWord(String caption) {
    String prompt = ARTICLE.matcher(caption).replaceFirst("");
    int end = prompt.indexOf(' ');
    return end < 0 ? prompt : prompt.substring(0, end);
  }

  private static String lastWord(String prompt) {
    return prompt.substring(prompt.lastIndexOf(' ') + 1);
  }
}
