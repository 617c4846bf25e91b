// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class RetrievalTest {
  private static final ImageSet REAL =
      ImageSet.of(
          1,
          1,
          List.of(
              new ImageSet.Item("a", "car add", new float[] {1, 1, 1}),
              new ImageSet.Item("b", "car delete", new float[] {-1, -1, -1}),
              new ImageSet.Item("c", "cup delete", new float[] {1, -1, -1}),
              new ImageSet.Item("d", "moon", new float[] {1, -1, -1})));

  private static Map<String, Estimate> shares(ImageSet real, float[] images, List<String> prompts) {
    Retrieval retrieval = new Retrieval(real);
    return retrieval.shares(retrieval.of(images, prompts));
  }

  @Test
  void countsFirstAndLastWordsOfTheNearest() {
    float[] images = {.9f, .8f, 1, -.7f, -.9f, -1, .4f, -1, -1};
    Map<String, Estimate> result =
        shares(REAL, images, List.of("car delete", "car delete", "car delete"));
    assertEquals(2 / 3.0, result.get("first_word").mean());
    assertEquals(2 / 3.0, result.get("last_word").mean());
    assertEquals(3, result.get("first_word").n());
    Map<String, Estimate> other =
        shares(REAL, images, List.of("car delete", "car delete", "cup add"));
    assertEquals(1, other.get("first_word").mean());
    assertEquals(1 / 3.0, other.get("last_word").mean());
  }

  @Test
  void setsAreToldApartByPixelsAndPrompts() {
    List<String> identities =
        Stream.of(
                new ImageSet.Item("a", "car", new float[] {1, 1, 1}),
                new ImageSet.Item("a", "cup", new float[] {1, 1, 1}),
                new ImageSet.Item("a", "car", new float[] {1, 1, 0}))
            .map(item -> ImageSet.of(1, 1, List.of(item)).identity())
            .distinct()
            .toList();
    assertEquals(3, identities.size());
  }

  @Test
  void anyOfEquallyNearImagesWillDo() {
    float[] images = {1, -1, -1, 1, -1, -1};
    Map<String, Estimate> result = shares(REAL, images, List.of("moon", "cup delete"));
    assertEquals(1, result.get("first_word").mean());
    assertEquals(1, result.get("last_word").mean());
  }

  @Test
  void articlesAreNoWords() {
    ImageSet real =
        ImageSet.of(
            1,
            1,
            List.of(
                new ImageSet.Item("a", "a red cat", new float[] {1, 1, 1}),
                new ImageSet.Item("b", "an apple", new float[] {-1, -1, -1})));
    float[] images = {1, 1, 1, -1, -1, -1, 1, 1, 1};
    Map<String, Estimate> result =
        shares(real, images, List.of("The red dog", "apple", "a blue cat"));
    assertEquals(2 / 3.0, result.get("first_word").mean());
  }

  @Test
  void realIconsRetrieveThemselves() {
    ImageSet icons =
        SilkIcons.all()
            .where(icon -> icon.name().startsWith("layout") || icon.name().equals("overlays"));
    float[] all = icons.batch(IntStream.range(0, icons.size()).toArray());
    Map<String, Estimate> result = shares(icons, all, icons.prompts());
    assertEquals(1, result.get("first_word").mean());
    assertEquals(1, result.get("last_word").mean());
  }

  @Test
  void refusesAWrongNumberOfValues() {
    assertThrows(
        IllegalArgumentException.class,
        () -> new Retrieval(REAL).of(new float[4], List.of("car add")));
  }

  @Test
  void estimatesAgreeWithTextbookValues() {
    // Wilson's interval of 8 of 10, and Student's of five numbers (t = 2.776).
    Estimate share = Estimate.proportion(8, 10);
    assertEquals(0.4902, share.low(), 1e-4);
    assertEquals(0.9433, share.high(), 1e-4);
    Estimate mean = Estimate.mean(1, 2, 3, 4, 5);
    assertEquals(3, mean.mean());
    assertEquals(3 - 2.7764 * Math.sqrt(2.5 / 5), mean.low(), 1e-4);
    assertEquals(0, Estimate.proportion(0, 50).low(), 1e-12);
  }
}
