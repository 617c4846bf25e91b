// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import reverie.tensor.ReverieException;

/**
 * Images of the user's own in the form of Hugging Face's imagefolder: a folder with images and a
 * {@code metadata.jsonl} whose lines are {@code {"file_name": "a.png", "text": "a red cat"}}, or a
 * {@code metadata.csv} with such columns; the text may be called {@code prompt} or {@code caption}
 * too. Without either every PNG and JPEG of the folder is taken and its name is its prompt ({@code
 * red_cat.png}: "red cat"). All images must have one size.
 */
public final class ImageFolder {
  private static final String READER = "image folder";
  private static final List<String> METADATA = List.of("metadata.jsonl", "metadata.csv");
  private static final List<String> TEXT = List.of("text", "prompt", "caption");
  private static final Set<String> SUFFIXES = Set.of("png", "jpg", "jpeg");

  private ImageFolder() {}

  /**
   * Reads a folder.
   *
   * @param folder with the images
   * @return the images in the order of {@code metadata.jsonl}, or of their names
   * @throws ReverieException saying which file is missing, unreadable or of another size
   */
  public static ImageSet read(Path folder) {
    if (!Files.isDirectory(folder)) {
      throw new ReverieException(
          String.format(Locale.ROOT, "image folder: '%s' is not a folder", folder),
          "give a folder with PNG or JPEG images and metadata.jsonl");
    }
    Map<String, String> prompts =
        METADATA.stream()
            .map(folder::resolve)
            .filter(Files::exists)
            .findFirst()
            .map(ImageFolder::captions)
            .orElseGet(() -> names(folder));
    if (prompts.isEmpty()) {
      throw new ReverieException(
          String.format(Locale.ROOT, "image folder: '%s' has no images", folder),
          "put PNG or JPEG images there, and metadata.jsonl");
    }
    List<ImageSet.Item> items = new ArrayList<>();
    BufferedImage first = null;
    for (Map.Entry<String, String> entry : prompts.entrySet()) {
      BufferedImage image = ImageFile.read(READER, folder.resolve(entry.getKey()));
      first = first == null ? image : first;
      if (image.getWidth() != first.getWidth() || image.getHeight() != first.getHeight()) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "image folder: '%s' is %d×%d, but the first image is %d×%d",
                entry.getKey(),
                image.getWidth(),
                image.getHeight(),
                first.getWidth(),
                first.getHeight()),
            "resize the images to one size before training on them");
      }
      items.add(new ImageSet.Item(entry.getKey(), entry.getValue(), PngPixels.overWhite(image)));
    }
    return ImageSet.of(first.getHeight(), first.getWidth(), items);
  }

  private static Map<String, String> captions(Path metadata) {
    JsonLines lines =
        new JsonLines(READER, metadata, "{\"file_name\": \"a.png\", \"text\": \"a red cat\"}");
    Map<String, String> prompts = new LinkedHashMap<>();
    lines.forEach((number, entry) -> {
      String name = lines.text(entry, "file_name", number);
      if (name.indexOf('\0') >= 0) {
        throw lines.wrong(number, "no file can have a NUL in its name");
      }
      if (prompts.put(name, lines.text(entry, TEXT, number)) != null) {
        throw lines.wrong(number, String.format(Locale.ROOT, "'%s' comes twice", name));
      }
    });
    return prompts;
  }

  private static Map<String, String> names(Path folder) {
    Map<String, String> prompts = new LinkedHashMap<>();
    try (Stream<Path> files = Files.list(folder)) {
      files
          .map(file -> file.getFileName().toString())
          .filter(name -> SUFFIXES.contains(suffix(name)))
          .sorted()
          .forEach(name -> prompts.put(name, prompt(name)));
    } catch (IOException | UncheckedIOException e) {
      throw new ReverieException(
          String.format(Locale.ROOT, "image folder: cannot list '%s': %s", folder, e.getMessage()),
          "check its permissions");
    }
    return prompts;
  }

  private static String suffix(String name) {
    return name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
  }

  /** What an image without a caption shows, by its name. */
  private static String prompt(String name) {
    return name.replaceFirst("\\.[^.]*$", "").replace('_', ' ');
  }

  /**
   * Reads images from files and folders.
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
        BufferedImage image = ImageFile.read(READER, path);
        ImageSet.Item item =
            new ImageSet.Item(
                path.toString(), prompt(path.getFileName().toString()), PngPixels.overWhite(image));
        sets.add(ImageSet.of(image.getHeight(), image.getWidth(), List.of(item)));
      }
    }
    ImageSet first = sets.getFirst();
    return ImageSet.of(
        first.height(), first.width(), sets.stream().flatMap(s -> s.items().stream()).toList());
  }
}
