// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import reverie.app.data.SilkIcons;
import reverie.app.files.AtomicFile;

/**
 * The prompts that a model was trained with, which it remembers: {@code prompts.txt} in its folder,
 * one a line. Of a model of the icons that Reverie ships they are known, with those held out.
 *
 * @param icons whether it draws the icons
 * @param training none where the folder does not say
 */
public record ModelPrompts(boolean icons, List<String> training) {
  private static final String FILE = "prompts.txt";

  /** Of a model that does not say. */
  public static final ModelPrompts UNKNOWN = new ModelPrompts(false, List.of());

  /** Copies the list. */
  public ModelPrompts {
    training = List.copyOf(training);
  }

  /** Of a model of the icons. */
  public static ModelPrompts ofIcons() {
    return new ModelPrompts(true, SilkIcons.training().prompts());
  }

  /** Of a model that draws one of some classes: their numbers. */
  public static ModelPrompts ofClasses(int classes) {
    return new ModelPrompts(
        false, IntStream.range(0, classes).mapToObj(Integer::toString).toList());
  }

  /** Prompts that it has not seen; none where it does not know any. */
  public List<String> heldOut() {
    return icons ? SilkIcons.heldOut().prompts() : List.of();
  }

  static ModelPrompts read(Path folder) {
    Path file = folder.resolve(FILE);
    if (!Files.isRegularFile(file)) {
      return UNKNOWN;
    }
    try {
      return new ModelPrompts(
          false, Files.readAllLines(file).stream().filter(line -> !line.isBlank()).toList());
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    }
  }

  void write(Path folder) {
    if (!icons && !training.isEmpty()) {
      List<String> lines =
          training.stream().map(prompt -> prompt.replaceAll("\\R", " ")).distinct().toList();
      AtomicFile.writeText(folder.resolve(FILE), String.join("\n", lines) + "\n");
    }
  }
}
