// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import reverie.app.files.JsonFile;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;

/** The file of {@link Nouns}: colours, and parts of figures in runs of one colour. */
final class NounsFile {
  static final int SIDE = 32;
  static final int PIXELS = SIDE * SIDE;

  /** A pixel that a trait does not paint. */
  static final int CLEAR = -1;

  /**
   * One of a kind.
   *
   * @param name as prompts have it, without its kind
   * @param colours 0xRRGGBB of each pixel, or {@link #CLEAR}
   */
  record Trait(String name, int[] colours) {}

  private NounsFile() {}

  /** Heads, glasses, accessories, bodies and backgrounds. */
  static List<List<Trait>> read(Path file) {
    JsonNode root =
        JsonFile.readObject(file, "take image-data.json of the npm package @nouns/assets");
    int[] palette =
        texts(file, root, "palette").stream()
            .mapToInt(text -> text.isEmpty() ? CLEAR : colour(file, text))
            .toArray();
    List<Trait> backgrounds =
        texts(file, root, "bgcolors").stream()
            .map(text -> background(colour(file, text), text))
            .toList();
    JsonNode images = root.path("images");
    return List.of(
        parts(file, images, "heads", palette),
        parts(file, images, "glasses", palette),
        parts(file, images, "accessories", palette),
        parts(file, images, "bodies", palette),
        backgrounds);
  }

  private static List<String> texts(Path file, JsonNode root, String key) {
    List<String> texts = new ArrayList<>();
    root.path(key).forEach(node -> texts.add(node.asString("")));
    if (texts.isEmpty()) {
      throw damaged(file, "it has no list '" + key + "'");
    }
    return texts;
  }

  private static int colour(Path file, String text) {
    if (!text.matches("[0-9a-fA-F]{6}")) {
      throw damaged(file, "'" + text + "' is no colour of six hexadecimal digits");
    }
    return HexFormat.fromHexDigits(text);
  }

  /** The two that there are have names. */
  private static Trait background(int colour, String text) {
    int[] all = new int[PIXELS];
    Arrays.fill(all, colour);
    return new Trait(
        switch (text) {
          case "d5d7e1" -> "cool";
          case "e1d7d5" -> "warm";
          default -> text;
        },
        all);
  }

  private static List<Trait> parts(Path file, JsonNode images, String key, int... palette) {
    List<Trait> parts = new ArrayList<>();
    for (JsonNode part : images.path(key)) {
      String name = part.path("filename").asString("");
      // What stands before the first hyphen is mostly the kind.
      parts.add(
          new Trait(
              name.substring(name.indexOf('-') + 1).replace('-', ' '),
              decode(file, name, part.path("data").asString(""), palette)));
    }
    if (parts.isEmpty() || parts.stream().map(Trait::name).distinct().count() < parts.size()) {
      throw damaged(file, "'" + key + "' is empty or has a name twice");
    }
    return List.copyOf(parts);
  }

  /**
   * Decodes a part: a byte that is 0; the bounds top, right (exclusive), bottom and left; then
   * pairs of a length and an index into the palette, row by row within the bounds.
   */
  private static int[] decode(Path file, String name, String data, int... palette) {
    byte[] bytes;
    try {
      bytes = HexFormat.of().parseHex(data, Math.min(2, data.length()), data.length());
    } catch (IllegalArgumentException e) {
      throw damaged(file, "the data of '" + name + "' are not hexadecimal");
    }
    int[] colours = new int[PIXELS];
    Arrays.fill(colours, CLEAR);
    if (bytes.length < 5 || bytes.length % 2 == 0) {
      throw damaged(file, "the data of '" + name + "' are cut off");
    }
    int top = bytes[1];
    int right = bytes[2];
    int bottom = bytes[3];
    int left = bytes[4];
    if (top < 0 || left < 0 || right > SIDE || bottom >= SIDE || right < left) {
      throw damaged(file, "the bounds of '" + name + "' leave the image");
    }
    int width = right - left;
    int at = 0;
    for (int i = 5; i < bytes.length; i += 2) {
      int length = bytes[i] & 0xff;
      int index = bytes[i + 1] & 0xff;
      if (at + length > width * (bottom - top + 1) || index >= palette.length) {
        throw damaged(file, "a run of '" + name + "' leaves its bounds or the palette");
      }
      for (int end = at + length; at < end; at++) {
        colours[(top + at / width) * SIDE + left + at % width] = palette[index];
      }
    }
    return colours;
  }

  private static ReverieException damaged(Path file, String problem) {
    return new ReverieException(
        String.format(Locale.ROOT, "nouns: '%s': %s", file, problem),
        "fetch image-data.json of the npm package @nouns/assets again");
  }
}
