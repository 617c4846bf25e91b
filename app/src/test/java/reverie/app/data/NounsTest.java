// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.tensor.ReverieException;

/** A file of the same format, drawn for these tests: 6 heads, 4 glasses, 3 of the rest. */
class NounsTest {
  private static final Nouns NOUNS = Nouns.read(file());
  private static final String PROMPT =
      "box head, plain blue glasses, stripe accessory, pink body, warm background";

  @TempDir Path folder;

  private static Path file() {
    try {
      return Path.of(NounsTest.class.getResource("nouns/image-data.json").toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  private static ImageSet.Item item(String prompt) {
    return NOUNS.training().items().stream()
        .filter(item -> item.prompt().equals(prompt))
        .findFirst()
        .orElseThrow();
  }

  /** Colour of a pixel as in the file. */
  private static String colour(ImageSet.Item item, int x, int y) {
    StringBuilder colour = new StringBuilder();
    for (int channel = 0; channel < 3; channel++) {
      float value = item.pixels()[(y * 16 + x) * 3 + channel];
      colour.append(String.format(Locale.ROOT, "%02x", Math.round((value + 1) * 127.5f)));
    }
    return colour.toString();
  }

  @Test
  void partsArePaintedOverEachOther() {
    ImageSet.Item item = item(PROMPT);
    assertEquals("e1d7d5", colour(item, 0, 0), "background");
    assertEquals("e377c2", colour(item, 10, 15), "body");
    assertEquals("e2a7cc", colour(item, 4, 10), "half body, half background");
    assertEquals("e1d7d5", colour(item, 12, 15), "beside it");
    assertEquals("fafafa", colour(item, 5, 14), "stripe over the body");
    assertEquals("ff7f0e", colour(item, 4, 4), "head");
    assertEquals("8f7b61", colour(item, 5, 5), "half head, half frame over it");
    assertEquals("c77d38", colour(item, 7, 5), "a quarter of the frame, head through its gap");
    assertEquals("8db9d7", colour(item, 5, 6), "half frame, half lens");
  }

  @Test
  void everyCombinationIsAPromptAndPairsAreHeldOut() {
    List<String> training = NOUNS.training().prompts();
    List<String> heldOut = NOUNS.heldOut().prompts();
    assertEquals(23 * 18, training.size());
    assertEquals(18, heldOut.size());
    Set<String> all = new HashSet<>(training);
    all.addAll(heldOut);
    assertEquals(6 * 4 * 3 * 3 * 2, all.size());
    assertTrue(heldOut.stream().allMatch(p -> p.startsWith("ball head, plain black glasses, ")));
    assertTrue(training.stream().anyMatch(p -> p.startsWith("ball head, dark glasses, ")));
    assertTrue(training.stream().anyMatch(p -> p.contains("box head, plain black glasses, ")));
  }

  @Test
  void realImagesShowTheirTraitsAndOthersDoNot() {
    for (ImageSet set : List.of(NOUNS.training(), NOUNS.heldOut())) {
      int[] rows = {0, 5, set.size() - 1};
      List<String> prompts = Arrays.stream(rows).mapToObj(row -> set.prompts().get(row)).toList();
      for (double[] found : NOUNS.of(set.batch(rows), prompts)) {
        assertArrayEquals(new double[] {1, 1, 1, 1, 1}, found);
      }
    }
    float[] image = item(PROMPT).pixels();
    for (int part = 0; part < 5; part++) {
      String[] other = PROMPT.split(", ");
      other[part] =
          List.of("brick head", "dark glasses", "big dot accessory", "blue body", "cool background")
              .get(part);
      double[] found = NOUNS.of(image, List.of(String.join(", ", other)))[0];
      assertEquals(0, found[part], other[part]);
    }
    assertThrows(IllegalArgumentException.class, () -> NOUNS.of(image, List.of(PROMPT, PROMPT)));
  }

  @Test
  void aPromptMustNameEveryTrait() {
    for (String wrong :
        List.of("", "box head", PROMPT + ", hat", PROMPT.replace("pink", "transparent"))) {
      ReverieException error =
          assertThrows(
              ReverieException.class, () -> NOUNS.of(new float[3 * 16 * 16], List.of(wrong)));
      assertTrue(error.getMessage().contains("for example 'ball head"), error::getMessage);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          palette | colours | it has no list 'palette'
          d5d7e1 | d5d7e | 'd5d7e' is no colour
          heads | hats | 'heads' is empty
          head-box | head-ball | or has a name twice
          0x00 | 0x0z | not hexadecimal
          0014171f09 | 0014371f09 | the bounds of 'body-blue' leave
          171f09a801 | 171f09a8 | the data of 'body-blue' are cut off
          171f09a801 | 171f09a901 | a run of 'body-blue' leaves
          171f09a801 | 171f09a80c | or the palette
          """)
  void damageIsSaid(String before, String after, String message) throws IOException {
    String whole = Files.readString(file());
    Path damaged = folder.resolve("image-data.json");
    Files.writeString(damaged, whole.replaceFirst(before, after));
    ReverieException error = assertThrows(ReverieException.class, () -> Nouns.read(damaged));
    assertTrue(error.getMessage().contains(message), error::getMessage);
  }
}
