// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.awt.Dimension;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.zip.CRC32;
import reverie.app.files.AtomicFile;
import reverie.rl.preference.Preference;
import reverie.rl.preference.PreferenceDataset;
import reverie.rl.prompt.Prompt;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Which of two images somebody preferred: a text file with lines like {@code {"prompt": "a red
 * cat", "images": ["a.png", "b.png"], "choice": 0}}, where 0 is the first and 1 the second image
 * and paths are relative to the file. Other keys are left alone. Images are decoded when they are
 * asked for.
 *
 * <p>Two other layouts are read as well: Pick-a-Pic's ({@code caption}, {@code jpg_0}, {@code
 * jpg_1}, {@code label_0}: 1, 0 or 0.5) and the preferred image by name ({@code winner} and {@code
 * loser}, or {@code chosen} and {@code rejected}). Ties (a choice of null, "tie" or 0.5) are left
 * out and counted.
 */
public final class PreferenceFile implements PreferenceDataset {
  private static final Logger LOG = Logger.getLogger(PreferenceFile.class.getName());
  private static final String READER = "preferences";
  private static final List<String> PROMPT = List.of("prompt", "caption", "text");
  private static final List<List<String>> BY_NAME =
      List.of(List.of("winner", "loser"), List.of("chosen", "rejected"));
  private static final String EXAMPLE =
      "{\"prompt\": \"a red cat\", \"images\": [\"a.png\", \"b.png\"], \"choice\": 0}";

  private final JsonLines lines;
  private final List<Entry> entries = new ArrayList<>();
  private final String identity;
  private final ImageSize size;

  private record Entry(int line, Prompt prompt, Path chosen, Path rejected) {}

  /**
   * Two images and a choice, to be written.
   *
   * @param prompt what both show
   * @param first an image
   * @param second another
   * @param choice 0 if the first is preferred, 1 if the second
   * @param scores of both, written down beside the choice
   */
  public record Judged(
      String prompt, BufferedImage first, BufferedImage second, int choice, double... scores) {}

  private PreferenceFile(Path file, ImageSize size) {
    lines = new JsonLines(READER, file, EXAMPLE);
    this.size = size;
    int[] ties = {0};
    lines.forEach((line, node) -> {
      Entry entry = entry(line, node);
      if (entry == null) {
        ties[0]++;
      } else {
        entries.add(entry);
      }
    });
    if (ties[0] > 0) {
      LOG.log(
          Level.WARNING,
          "{0}: {1} of {2} pairs are ties and are left out.",
          new Object[] {file, ties[0], ties[0] + entries.size()});
    }
    if (entries.isEmpty()) {
      throw new ReverieException(
          String.format(Locale.ROOT, "preferences: '%s' has no pair in it", file),
          "every line should look like " + EXAMPLE);
    }
    CRC32 sum = new CRC32();
    try {
      sum.update(Files.readAllBytes(file));
      // An image that was replaced by another is rarely as long.
      for (Entry entry : entries) {
        for (Path image : List.of(entry.chosen, entry.rejected)) {
          sum.update(Long.toString(Files.size(image)).getBytes(StandardCharsets.US_ASCII));
        }
      }
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    }
    identity =
        String.format(Locale.ROOT, "%d pairs with checksum %08x", entries.size(), sum.getValue());
  }

  /**
   * Reads a file, and of every image its size.
   *
   * @param file the text file
   * @param size that every image must have
   * @return the pairs in the order of the file
   * @throws ReverieException naming file and line, for anything that is wrong
   */
  public static PreferenceFile read(Path file, ImageSize size) {
    return new PreferenceFile(file, size);
  }

  /** The pair of a line; null for a tie. */
  private Entry entry(int line, JsonNode node) {
    Prompt prompt = new Prompt(lines.text(node, PROMPT, line));
    for (List<String> names : BY_NAME) {
      if (node.has(names.getFirst())) {
        return new Entry(
            line,
            prompt,
            path(line, lines.text(node, names.getFirst(), line)),
            path(line, lines.text(node, names.getLast(), line)));
      }
    }
    boolean labelled = node.has("label_0");
    Path[] paths = labelled ? labelled(line, node) : listed(line, node);
    OptionalInt choice =
        labelled ? choice(line, node, "label_0", 1) : choice(line, node, "choice", 0);
    return choice.isEmpty()
        ? null
        : new Entry(line, prompt, paths[choice.getAsInt()], paths[1 - choice.getAsInt()]);
  }

  private Path[] listed(int line, JsonNode node) {
    JsonNode images = node.path("images");
    if (!images.isArray()
        || images.size() != 2
        || !images.get(0).isString()
        || !images.get(1).isString()) {
      throw lines.wrong(line, "'images' must be a list of two paths, but is " + shown(images));
    }
    return new Path[] {
      path(line, images.get(0).stringValue()), path(line, images.get(1).stringValue())
    };
  }

  private Path[] labelled(int line, JsonNode node) {
    String[] names =
        node.has("jpg_0") ? new String[] {"jpg_0", "jpg_1"} : new String[] {"image_0", "image_1"};
    return new Path[] {
      path(line, lines.text(node, names[0], line)), path(line, lines.text(node, names[1], line))
    };
  }

  /** The image that was preferred, which the value {@code first} says is the first one. */
  private OptionalInt choice(int line, JsonNode node, String key, int first) {
    JsonNode choice = node.path(key);
    if (choice.isNull()
        || choice.isString() && choice.stringValue().equals("tie")
        || choice.isNumber() && choice.doubleValue() == 0.5) {
      return OptionalInt.empty();
    }
    double value = choice.isNumber() ? choice.doubleValue() : Double.NaN;
    if (value != 0 && value != 1) {
      throw lines.wrong(
          line,
          String.format(
              Locale.ROOT,
              "'%s' must be %d (the first image), %d (the second) or null (a tie), but is %s",
              key,
              first,
              1 - first,
              shown(choice)));
    }
    return OptionalInt.of(value == first ? 0 : 1);
  }

  private static String shown(JsonNode node) {
    return node.isMissingNode() ? "missing" : node.toString();
  }

  private Path path(int line, String name) {
    Path image;
    try {
      image = lines.file().resolveSibling(name);
    } catch (InvalidPathException e) {
      throw lines.wrong(line, "no file can be called '" + name + "'");
    }
    if (!Files.isRegularFile(image)) {
      throw lines.wrong(line, String.format(Locale.ROOT, "the image '%s' does not exist", image));
    }
    Dimension found;
    try {
      found = ImageFile.size(READER, image);
    } catch (ReverieException e) {
      throw lines.wrong(line, e.getMessage().lines().findFirst().orElseThrow());
    }
    if (found.width != size.width() || found.height != size.height()) {
      throw lines.wrong(
          line,
          String.format(
              Locale.ROOT,
              "'%s' is %d×%d, but the model draws %d×%d",
              image,
              found.width,
              found.height,
              size.width(),
              size.height()));
    }
    return image;
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
    return PngPixels.overWhite(ImageFile.read(who, image));
  }

  @Override
  public String identity() {
    return identity;
  }

  /**
   * Writes a folder of PNG images and the file beside it.
   *
   * @param file the text file; its images go to the folder {@code images} beside it
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
      PngImages.write(file.resolveSibling(names.get(0)), pair.first);
      PngImages.write(file.resolveSibling(names.get(1)), pair.second);
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
