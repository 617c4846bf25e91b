// SPDX-License-Identifier: Apache-2.0
package reverie.app.choose;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import reverie.app.data.ImageFile;
import reverie.app.data.PngImages;
import reverie.app.files.AtomicFile;
import reverie.app.files.JsonFile;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Pairs of images of one prompt that somebody is to choose from: a folder with {@code pairs.jsonl}
 * and the images that it names.
 *
 * @param folder where everything is
 * @param pairs in the order in which they are shown
 */
public record ImagePairs(Path folder, List<Pair> pairs) {
  /** The file in the folder. */
  public static final String FILE = "pairs.jsonl";

  /**
   * Two images.
   *
   * @param prompt what both show
   * @param images their files, relative to the folder
   */
  public record Pair(String prompt, List<String> images) {}

  /**
   * Writes images and file; what is there already is replaced.
   *
   * @param prompts one for each pair
   * @param images two for each pair
   */
  public static ImagePairs write(Path folder, List<String> prompts, List<BufferedImage> images) {
    try {
      Files.createDirectories(folder.resolve("images"));
    } catch (IOException e) {
      throw AtomicFile.failure(folder, e);
    }
    List<Pair> pairs = new ArrayList<>();
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < prompts.size(); i++) {
      List<String> names = new ArrayList<>();
      for (int side = 0; side < 2; side++) {
        names.add(String.format(Locale.ROOT, "images/%06d-%d.png", i, side));
        PngImages.write(folder.resolve(names.get(side)), images.get(2 * i + side));
      }
      pairs.add(new Pair(prompts.get(i), names));
      Map<String, Object> line = new LinkedHashMap<>();
      line.put("prompt", prompts.get(i));
      line.put("images", names);
      text.append(JsonMapper.shared().writeValueAsString(line)).append('\n');
    }
    AtomicFile.writeText(folder.resolve(FILE), text.toString());
    return new ImagePairs(folder, pairs);
  }

  /**
   * Reads a folder.
   *
   * @throws ReverieException naming the line, for anything that is wrong
   */
  public static ImagePairs read(Path folder) {
    Path file = folder.resolve(FILE);
    List<String> lines;
    try {
      lines = Files.readAllLines(file);
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    }
    List<Pair> pairs = new ArrayList<>();
    for (String line : lines) {
      pairs.add(pair(line, pairs.size() + 1, folder));
    }
    if (pairs.isEmpty()) {
      throw new ReverieException("pairs: '" + file + "' has no pair in it", "draw some");
    }
    return new ImagePairs(folder, List.copyOf(pairs));
  }

  private static Pair pair(String line, int number, Path folder) {
    JsonNode node;
    try {
      node = JsonFile.parse(line);
    } catch (JacksonException e) {
      throw wrong(folder, number, JsonFile.reason(e));
    }
    JsonNode images = node.path("images");
    if (!node.path("prompt").isString()
        || !images.isArray()
        || images.size() != 2
        || !images.get(0).isString()
        || !images.get(1).isString()) {
      throw wrong(folder, number, "expected a prompt and two images");
    }
    List<String> names = List.of(images.get(0).stringValue(), images.get(1).stringValue());
    for (String name : names) {
      try {
        ImageFile.size("pairs", folder.resolve(name));
      } catch (InvalidPathException e) {
        throw wrong(folder, number, "no file can be called '" + name + "'");
      } catch (ReverieException e) {
        throw wrong(folder, number, e.getMessage().lines().findFirst().orElseThrow());
      }
    }
    return new Pair(node.get("prompt").stringValue(), names);
  }

  private static ReverieException wrong(Path folder, int line, String problem) {
    return new ReverieException(
        String.format(
            Locale.ROOT, "pairs: line %d of '%s': %s", line, folder.resolve(FILE), problem),
        "every line should look like {\"prompt\": \"a red cat\", \"images\": [\"a.png\","
            + " \"b.png\"]}");
  }
}
