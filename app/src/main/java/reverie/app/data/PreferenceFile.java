// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.zip.CRC32;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import reverie.app.report.Images;
import reverie.app.run.AtomicFile;
import reverie.rl.preference.Preference;
import reverie.rl.preference.PreferenceDataset;
import reverie.rl.prompt.Prompt;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Which of two pictures somebody preferred: a text file with lines like {@code {"prompt": "a red
 * cat", "images": ["a.png", "b.png"], "choice": 0}}, where 0 is the first and 1 the second picture
 * and paths are relative to the file. Other keys are left alone. Pictures are decoded when they are
 * asked for.
 */
public final class PreferenceFile implements PreferenceDataset {
  private static final String READER = "preferences";
  private static final String EXAMPLE =
      "{\"prompt\": \"a red cat\", \"images\": [\"a.png\", \"b.png\"], \"choice\": 0}";

  private final JsonLines lines;
  private final List<Entry> entries = new ArrayList<>();
  private final String identity;
  private final int size;

  private record Entry(int line, Prompt prompt, Path chosen, Path rejected) {}

  /**
   * Two pictures and a choice, to be written.
   *
   * @param prompt what both show
   * @param first a picture
   * @param second another
   * @param choice 0 if the first is preferred, 1 if the second
   * @param scores of both, written down beside the choice
   */
  public record Judged(
      String prompt, BufferedImage first, BufferedImage second, int choice, double... scores) {}

  private PreferenceFile(Path file, int size) {
    lines = new JsonLines(READER, file, EXAMPLE);
    this.size = size;
    lines.forEach((line, node) -> entries.add(entry(line, node)));
    if (entries.isEmpty()) {
      throw new ReverieException(
          String.format(Locale.ROOT, "preferences: '%s' has no pair in it", file),
          "every line should look like " + EXAMPLE);
    }
    CRC32 sum = new CRC32();
    try {
      sum.update(Files.readAllBytes(file));
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    }
    identity =
        String.format(Locale.ROOT, "%d pairs with checksum %08x", entries.size(), sum.getValue());
  }

  /**
   * Reads a file, and of every picture its size.
   *
   * @param file the text file
   * @param size rows and columns that every picture must have
   * @return the pairs in the order of the file
   * @throws ReverieException naming file and line, for anything that is wrong
   */
  public static PreferenceFile read(Path file, int size) {
    return new PreferenceFile(file, size);
  }

  private Entry entry(int line, JsonNode node) {
    String prompt = lines.text(node, "prompt", line);
    JsonNode images = node.path("images");
    if (!images.isArray()
        || images.size() != 2
        || !images.get(0).isString()
        || !images.get(1).isString()) {
      throw lines.wrong(line, "'images' must be a list of two paths, but is " + shown(images));
    }
    JsonNode choice = node.path("choice");
    if (!choice.isInt() || choice.intValue() < 0 || choice.intValue() > 1) {
      throw lines.wrong(
          line, "'choice' must be 0 (the first image) or 1 (the second), but is " + shown(choice));
    }
    Path[] paths = {path(line, images.get(0)), path(line, images.get(1))};
    return new Entry(
        line, new Prompt(prompt), paths[choice.intValue()], paths[1 - choice.intValue()]);
  }

  private static String shown(JsonNode node) {
    return node.isMissingNode() ? "missing" : node.toString();
  }

  private Path path(int line, JsonNode name) {
    Path image = lines.file().resolveSibling(name.stringValue());
    if (!Files.isRegularFile(image)) {
      throw lines.wrong(line, String.format(Locale.ROOT, "the picture '%s' does not exist", image));
    }
    try (ImageInputStream in = ImageIO.createImageInputStream(image.toFile())) {
      Iterator<ImageReader> readers = ImageIO.getImageReaders(in);
      if (!readers.hasNext()) {
        throw lines.wrong(
            line, String.format(Locale.ROOT, "'%s' is not a picture that Java can read", image));
      }
      ImageReader reader = readers.next();
      try {
        reader.setInput(in);
        if (reader.getHeight(0) != size || reader.getWidth(0) != size) {
          throw lines.wrong(
              line,
              String.format(
                  Locale.ROOT,
                  "'%s' is %d×%d, but the model draws %d×%d",
                  image,
                  reader.getHeight(0),
                  reader.getWidth(0),
                  size,
                  size));
        }
      } finally {
        reader.dispose();
      }
      return image;
    } catch (IOException e) {
      throw lines.wrong(
          line, String.format(Locale.ROOT, "'%s' is damaged: %s", image, e.getMessage()));
    }
  }

  @Override
  public int size() {
    return entries.size();
  }

  @Override
  public Preference get(int index) {
    Entry entry = entries.get(index);
    return new Preference(entry.prompt, pixels(entry, entry.chosen), pixels(entry, entry.rejected));
  }

  private float[] pixels(Entry entry, Path image) {
    String who =
        String.format(Locale.ROOT, "%s: line %d of '%s'", READER, entry.line, lines.file());
    return PngPixels.overWhite(PngPixels.read(who, image));
  }

  @Override
  public String identity() {
    return identity;
  }

  /**
   * Writes a folder of PNG pictures and the file beside it.
   *
   * @param file the text file; its pictures go to the folder {@code images} beside it
   * @param pairs what was judged
   */
  public static void write(Path file, List<Judged> pairs) {
    Path images = file.resolveSibling("images");
    try {
      Files.createDirectories(images);
    } catch (IOException e) {
      throw AtomicFile.failure(images, e);
    }
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < pairs.size(); i++) {
      Judged pair = pairs.get(i);
      List<String> names =
          List.of(
              String.format(Locale.ROOT, "images/%06d-0.png", i),
              String.format(Locale.ROOT, "images/%06d-1.png", i));
      Images.write(file.resolveSibling(names.get(0)), pair.first);
      Images.write(file.resolveSibling(names.get(1)), pair.second);
      Map<String, Object> line = new LinkedHashMap<>();
      line.put("prompt", pair.prompt);
      line.put("images", names);
      line.put("choice", pair.choice);
      line.put("scores", pair.scores);
      text.append(JsonMapper.shared().writeValueAsString(line)).append('\n');
    }
    AtomicFile.writeText(file, text.toString());
  }
}
