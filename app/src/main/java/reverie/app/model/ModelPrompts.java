// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import reverie.app.config.ConfigurationException;
import reverie.app.data.DataSet;
import reverie.app.data.Recognition;
import reverie.app.files.AtomicFile;
import reverie.app.reward.RewardKind;
import reverie.tensor.io.JsonText;

/**
 * The prompts that a model was trained with, which it remembers: {@code prompts.txt} in its folder,
 * one a line. Of a model of a {@link DataSet} they are known, with those held out.
 *
 * @param data what it draws; null for images of the user's own
 * @param own the prompts of those; none where the folder does not say
 */
public record ModelPrompts(DataSet data, List<String> own) {
  private static final String FILE = "prompts.txt";

  /** Of a model that does not say. */
  public static final ModelPrompts UNKNOWN = new ModelPrompts(List.of());

  /** Copies the list. */
  public ModelPrompts {
    own = List.copyOf(own);
  }

  /** Of a model of the user's own images. */
  public ModelPrompts(List<String> own) {
    this(null, own);
  }

  /** Of a model of images that Reverie knows. */
  public static ModelPrompts of(DataSet data) {
    return new ModelPrompts(data, List.of());
  }

  /** Of a model that draws one of some classes: their numbers. */
  public static ModelPrompts ofClasses(int classes) {
    return new ModelPrompts(IntStream.range(0, classes).mapToObj(Integer::toString).toList());
  }

  /** Prompts that it was trained with; none where nothing says. */
  public List<String> training() {
    return data == null ? own : data.training().prompts();
  }

  /** Prompts that it has not seen; none where it does not know any. */
  public List<String> heldOut() {
    return data == null ? List.of() : data.heldOut().prompts();
  }

  /** What tells whether it draws what is asked for; null where nothing can. */
  public Recognition recognition() {
    return data == null ? null : data.recognition();
  }

  /**
   * Refuses a reward that compares with other images than the model draws.
   *
   * @throws ConfigurationException if it does
   */
  public void requireFit(RewardKind reward) {
    reward
        .comparesWith()
        .filter(set -> set != data)
        .ifPresent(set -> {
          throw new ConfigurationException(
              String.format(
                  Locale.ROOT,
                  "reward %s compares with the %s, but the model draws other images",
                  reward.title(),
                  set),
              "choose another reward, or a model that was trained on data=" + set);
        });
  }

  static ModelPrompts read(Path folder) {
    Path file = folder.resolve(FILE);
    if (!Files.isRegularFile(file)) {
      return UNKNOWN;
    }
    try {
      return new ModelPrompts(
          JsonText.withoutByteOrderMark(Files.readString(file))
              .lines()
              .filter(line -> !line.isBlank())
              .toList());
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    }
  }

  void write(Path folder) {
    if (!own.isEmpty()) {
      List<String> lines =
          own.stream().map(prompt -> prompt.replaceAll("\\R", " ")).distinct().toList();
      AtomicFile.writeText(folder.resolve(FILE), String.join("\n", lines) + "\n");
    }
  }
}
