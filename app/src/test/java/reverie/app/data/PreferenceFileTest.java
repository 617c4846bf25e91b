// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.logging.Filter;
import java.util.logging.Logger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.rl.preference.Preference;
import reverie.tensor.ReverieException;

class PreferenceFileTest {
  @TempDir Path folder;
  private Path file;

  @BeforeEach
  void images() {
    file = folder.resolve("preferences.jsonl");
    PngImages.write(folder.resolve("black.png"), image(2, 0x000000));
    PngImages.write(folder.resolve("white.png"), image(2, 0xFFFFFF));
    PngImages.write(folder.resolve("large.png"), image(3, 0xFFFFFF));
  }

  private static BufferedImage image(int size, int rgb) {
    BufferedImage image = new BufferedImage(size, size, BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < size * size; i++) {
      image.setRGB(i % size, i / size, rgb);
    }
    return image;
  }

  @Test
  void theChoiceSaysWhichIsPreferred() throws IOException {
    lines(
        "{\"prompt\": \"night, café\", \"images\": [\"black.png\", \"white.png\"], \"choice\": 0}",
        "",
        "{\"prompt\": \"day\", \"images\": [\"black.png\", \"white.png\"], \"choice\": 1, \"by\": 7}");
    PreferenceFile read = PreferenceFile.read(file, ImageSize.square(2));
    assertEquals(2, read.size());
    Preference night = read.get(0);
    assertEquals("night, café", night.prompt().text());
    assertEquals(12, night.chosen().length);
    assertEquals(-1, night.chosen()[0]);
    assertEquals(1, night.rejected()[0]);
    assertEquals("day", read.get(1).prompt().text());
    assertEquals(1, read.get(1).chosen()[11]);
    String before = read.identity();
    lines("{\"prompt\": \"day\", \"images\": [\"black.png\", \"white.png\"], \"choice\": 1}");
    assertNotEquals(before, PreferenceFile.read(file, ImageSize.square(2)).identity());
  }

  @Test
  void whatIsWrittenIsReadAgain() {
    Path target = folder.resolve("new/pairs.jsonl");
    var first = new PreferenceFile.Judged("a \"b\"", image(2, 0x112233), image(2, 0), 1, 3, 4);
    var second = new PreferenceFile.Judged("c", image(2, 0), image(2, 0x445566), 0, 2, 1);
    PreferenceFile.write(target, List.of(first, second));
    PreferenceFile read = PreferenceFile.read(target, ImageSize.square(2));
    assertEquals(2, read.size());
    assertEquals("a \"b\"", read.get(0).prompt().text());
    assertArrayEquals(PngPixels.overWhite(first.second()), read.get(0).chosen());
    assertArrayEquals(PngPixels.overWhite(first.first()), read.get(0).rejected());
    assertArrayEquals(PngPixels.overWhite(second.first()), read.get(1).chosen());
  }

  @Test
  void saysFileAndLineOfWhatIsWrong() throws IOException {
    wrong(
        "'prompt' must be a string", "{\"images\": [\"black.png\", \"white.png\"], \"choice\": 0}");
    wrong("'images' must be a list of two paths, but is missing", "{\"prompt\": \"x\"}");
    wrong("two paths, but is [\"black.png\"]", "{\"prompt\": \"x\", \"images\": [\"black.png\"]}");
    wrong("but is missing", pair("white.png", ""));
    for (String choice : List.of("2", "-1", "\"0\"", "0.25", "true")) {
      wrong(
          "'choice' must be 0 (the first image), 1 (the second) or null (a tie), but is " + choice,
          pair("white.png", ", \"choice\": " + choice));
    }
    wrong("gone.png' does not exist", pair("gone.png", ", \"choice\": 0"));
    wrong("large.png' is 3×3, but the model draws 2×2", pair("large.png", ", \"choice\": 0"));
    Files.writeString(folder.resolve("text.png"), "no image");
    wrong("text.png' is not an image", pair("text.png", ", \"choice\": 0"));
    wrong("Unexpected end-of-input", "{\"prompt\": ");
    lines("", "");
    assertTrue(message().contains("has no pair in it"), this::message);
    Files.delete(file);
    assertTrue(message().contains("preferences.jsonl' does not exist"), this::message);
    Files.write(file, new byte[] {(byte) 0xff, 10});
    assertTrue(message().contains("is no UTF-8 text"), this::message);
  }

  @Test
  void tiesAreLeftOutAndCounted() throws IOException {
    List<Object> counted = new ArrayList<>();
    Logger log = Logger.getLogger(PreferenceFile.class.getName());
    Filter counting = record -> !counted.addAll(List.of(record.getParameters()));
    log.setFilter(counting);
    lines(
        pair("white.png", ", \"choice\": null"),
        pair("white.png", ", \"choice\": 1"),
        pair("white.png", ", \"choice\": \"tie\""),
        pair("white.png", ", \"choice\": 0.5"));
    PreferenceFile read;
    try {
      read = PreferenceFile.read(file, ImageSize.square(2));
    } finally {
      log.setFilter(null);
    }
    assertEquals(1, read.size());
    assertEquals(1, read.get(0).chosen()[0]);
    assertEquals(List.of(file, 3, 4), counted);
  }

  @Test
  void otherLayoutsAreRead() throws IOException {
    lines(
        "\uFEFF{\"caption\": \"a\", \"jpg_0\": \"black.png\", \"jpg_1\": \"white.png\", \"label_0\": 0,"
            + " \"label_1\": 1}",
        "{\"caption\": \"b\", \"jpg_0\": \"black.png\", \"jpg_1\": \"white.png\", \"label_0\": 1.0}",
        "{\"caption\": \"c\", \"jpg_0\": \"black.png\", \"jpg_1\": \"white.png\", \"label_0\": 0.5}",
        "{\"prompt\": \"d\", \"winner\": \"black.png\", \"loser\": \"white.png\"}",
        "{\"prompt\": \"e\", \"rejected\": \"black.png\", \"chosen\": \"white.png\"}");
    PreferenceFile read = PreferenceFile.read(file, ImageSize.square(2));
    List<String> seen = new ArrayList<>();
    for (int i = 0; i < read.size(); i++) {
      seen.add(read.get(i).prompt().text() + (read.get(i).chosen()[0] > 0 ? " white" : " black"));
    }
    assertEquals(List.of("a white", "b black", "d black", "e white"), seen);
  }

  @Test
  void anImageThatIsCutOffIsFoundWhenItIsNeeded() throws IOException {
    byte[] png = PngImages.png(image(2, 0x123456));
    Files.write(folder.resolve("cut.png"), Arrays.copyOf(png, 45));
    lines("", pair("cut.png", ", \"choice\": 0"));
    PreferenceFile read = PreferenceFile.read(file, ImageSize.square(2));
    var error = assertThrows(ReverieException.class, () -> read.get(0));
    assertTrue(error.getMessage().contains("line 2 of '" + file), error::getMessage);
    assertTrue(error.getMessage().contains("cut.png"), error::getMessage);
  }

  private static String pair(String second, String more) {
    return "{\"prompt\": \"x\", \"images\": [\"black.png\", \"" + second + "\"]" + more + "}";
  }

  private void wrong(String part, String line) throws IOException {
    lines("", line);
    String message = message();
    assertTrue(message.contains("line 2 of '" + file), message);
    assertTrue(message.contains(part), message);
    assertTrue(message.contains("\nhint: every line should look like {"), message);
  }

  private String message() {
    return assertThrows(
            ReverieException.class, () -> PreferenceFile.read(file, ImageSize.square(2)))
        .getMessage();
  }

  private void lines(String... lines) throws IOException {
    Files.writeString(file, String.join("\n", lines));
  }
}
