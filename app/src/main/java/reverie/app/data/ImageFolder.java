// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Pictures of the user's own in the form of Hugging Face's imagefolder: a folder with pictures and
 * a {@code metadata.jsonl} whose lines are {@code {"file_name": "a.png", "text": "a red cat"}}.
 * Without that file every PNG of the folder is taken and its name is its prompt ({@code
 * red_cat.png}: "red cat"). All pictures must have one size.
 */
public final class ImageFolder {
  private static final String METADATA = "metadata.jsonl";

  private ImageFolder() {}

  /**
   * Reads a folder.
   *
   * @param folder with the pictures
   * @return the pictures in the order of {@code metadata.jsonl}, or of their names
   * @throws ReverieException saying which file is missing, unreadable or of another size
   */
  public static ImageSet read(Path folder) {
    if (!Files.isDirectory(folder)) {
      throw new ReverieException(
          "image folder: '%s' is not a folder".formatted(folder),
          "give a folder with PNG pictures and metadata.jsonl");
    }
    Map<String, String> prompts =
        Files.exists(folder.resolve(METADATA)) ? captions(folder) : names(folder);
    if (prompts.isEmpty()) {
      throw new ReverieException(
          "image folder: '%s' has no pictures".formatted(folder),
          "put PNG pictures there, and metadata.jsonl");
    }
    List<ImageSet.Item> items = new ArrayList<>();
    BufferedImage first = null;
    for (Map.Entry<String, String> entry : prompts.entrySet()) {
      BufferedImage image = picture(folder.resolve(entry.getKey()));
      first = first == null ? image : first;
      if (image.getWidth() != first.getWidth() || image.getHeight() != first.getHeight()) {
        throw new ReverieException(
            "image folder: '%s' is %d×%d, but the first picture is %d×%d"
                .formatted(
                    entry.getKey(),
                    image.getHeight(),
                    image.getWidth(),
                    first.getHeight(),
                    first.getWidth()),
            "resize the pictures to one size before training on them");
      }
      items.add(new ImageSet.Item(entry.getKey(), entry.getValue(), PngPixels.overWhite(image)));
    }
    return new ImageSet(first.getHeight(), first.getWidth(), items);
  }

  private static Map<String, String> captions(Path folder) {
    Path metadata = folder.resolve(METADATA);
    Map<String, String> prompts = new LinkedHashMap<>();
    int number = 0;
    for (String line : lines(metadata)) {
      number++;
      if (line.isBlank()) {
        continue;
      }
      JsonNode entry = parse(line, metadata, number);
      if (!entry.path("file_name").isString() || !entry.path("text").isString()) {
        throw wrongLine(metadata, number, "file_name and text must both be strings");
      }
      if (prompts.put(entry.path("file_name").stringValue(), entry.path("text").stringValue())
          != null) {
        throw wrongLine(
            metadata, number, "'%s' comes twice".formatted(entry.path("file_name").stringValue()));
      }
    }
    return prompts;
  }

  private static JsonNode parse(String line, Path metadata, int number) {
    try {
      return JsonMapper.shared().readTree(line);
    } catch (JacksonException e) {
      throw wrongLine(metadata, number, e.getOriginalMessage());
    }
  }

  private static ReverieException wrongLine(Path metadata, int number, String problem) {
    return new ReverieException(
        "image folder: line %d of '%s': %s".formatted(number, metadata, problem),
        "every line should look like {\"file_name\": \"a.png\", \"text\": \"a red cat\"}");
  }

  private static List<String> lines(Path metadata) {
    try {
      return Files.readAllLines(metadata);
    } catch (IOException e) {
      throw new ReverieException(
          "image folder: cannot read '%s': %s".formatted(metadata, e.getMessage()),
          "it must be UTF-8 text");
    }
  }

  private static Map<String, String> names(Path folder) {
    Map<String, String> prompts = new LinkedHashMap<>();
    try (Stream<Path> files = Files.list(folder)) {
      files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.endsWith(".png"))
          .sorted()
          .forEach(name -> prompts.put(name, prompt(name)));
    } catch (IOException e) {
      throw new ReverieException(
          "image folder: cannot list '%s': %s".formatted(folder, e.getMessage()),
          "check its permissions");
    }
    return prompts;
  }

  /** What a picture without a caption shows, by its name. */
  private static String prompt(String name) {
    return name.replaceFirst("\\.[^.]*$", "").replace('_', ' ');
  }

  /**
   * Reads pictures from files and folders.
   *
   * @param paths PNG files, each captioned by its name, and folders as in {@link #read}
   * @return all of them in this order
   * @throws ReverieException saying which is missing, unreadable or of another size
   */
  public static ImageSet readAll(List<Path> paths) {
    List<ImageSet> sets = new ArrayList<>();
    for (Path path : paths) {
      if (Files.isDirectory(path)) {
        sets.add(read(path));
      } else {
        BufferedImage image = picture(path);
        ImageSet.Item item =
            new ImageSet.Item(
                path.toString(), prompt(path.getFileName().toString()), PngPixels.overWhite(image));
        sets.add(new ImageSet(image.getHeight(), image.getWidth(), List.of(item)));
      }
    }
    ImageSet first = sets.getFirst();
    return new ImageSet(
        first.height(), first.width(), sets.stream().flatMap(s -> s.items().stream()).toList());
  }

  private static BufferedImage picture(Path file) {
    try {
      BufferedImage image = Files.exists(file) ? ImageIO.read(file.toFile()) : null;
      if (image != null) {
        return image;
      }
      String problem =
          Files.exists(file) ? "is not a picture that Java can read" : "does not exist";
      throw new ReverieException("image folder: '%s' %s".formatted(file, problem), "use PNG files");
    } catch (IOException e) {
      throw new ReverieException(
          "image folder: '%s' is damaged: %s".formatted(file, e.getMessage()), "use PNG files");
    }
  }
}
