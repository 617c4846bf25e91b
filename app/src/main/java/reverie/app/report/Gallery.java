// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.awt.image.BufferedImage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import reverie.app.data.PngImages;
import reverie.app.files.JsonFile;
import reverie.app.run.RunFolder;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;

/**
 * Images of a run that the report shows, kept as PNG files and a list under {@code images/NAME} in
 * its folder.
 *
 * <p>Two galleries {@code X-before} and {@code X-after} are shown side by side, so they should hold
 * the same prompts and seeds in the same order.
 *
 * @param name the folder's name, for example "training-before"
 * @param items the images, in order
 */
public record Gallery(String name, List<Item> items) {
  /** Ending of the galleries of the base model. */
  public static final String BEFORE = "-before";

  /** Ending of the galleries of the fine-tuned model. */
  public static final String AFTER = "-after";

  private static final String LIST = "gallery.json";
  private static final String HINT =
      "delete this gallery's folder; resuming the run makes it again";

  /**
   * One image.
   *
   * @param prompt what it should show
   * @param note a few words about it, for example "231 bytes"; may be empty
   * @param image the image
   */
  public record Item(String prompt, String note, BufferedImage image) {}

  /**
   * Keeps the gallery in a run folder, in place of one of the same name.
   *
   * @param run the folder
   */
  public void write(RunFolder run) {
    List<Map<String, String>> list = new ArrayList<>();
    for (int i = 0; i < items.size(); i++) {
      Item item = items.get(i);
      String file = String.format(Locale.ROOT, "%03d.png", i);
      PngImages.write(run.resolve("images/" + name + "/" + file), item.image());
      Map<String, String> entry = new LinkedHashMap<>();
      entry.put("file", file);
      entry.put("prompt", item.prompt());
      entry.put("note", item.note());
      list.add(entry);
    }
    run.writeJson("images/" + name + "/" + LIST, list);
  }

  /**
   * Whether a gallery can be shown.
   *
   * @param runFolder the run folder
   * @param name its name
   * @return false if it, or one of its images, is missing or damaged
   */
  public static boolean isWhole(Path runFolder, String name) {
    try {
      return read(runFolder, name).isPresent();
    } catch (ReverieException damaged) {
      return false;
    }
  }

  /**
   * Finds a gallery.
   *
   * @param runFolder the run folder
   * @param name its name
   * @return the gallery, if the run has made it
   */
  public static Optional<Gallery> read(Path runFolder, String name) {
    Path folder = runFolder.resolve("images").resolve(name);
    Path list = folder.resolve(LIST);
    if (!Files.exists(list)) {
      return Optional.empty();
    }
    JsonNode entries = JsonFile.read(list, HINT);
    if (!entries.isArray()) {
      throw new ReverieException("read " + list + ": expected a list", HINT);
    }
    List<Item> items = new ArrayList<>();
    for (JsonNode entry : entries) {
      String file = entry.path("file").asString("");
      if (!file.matches("[A-Za-z0-9_-]+\\.png")) {
        throw new ReverieException(
            "read " + list + ": expected a list of objects with the name of a PNG file", HINT);
      }
      items.add(
          new Item(
              entry.path("prompt").asString(""),
              entry.path("note").asString(""),
              PngImages.read(folder.resolve(file))));
    }
    return Optional.of(new Gallery(name, items));
  }
}
