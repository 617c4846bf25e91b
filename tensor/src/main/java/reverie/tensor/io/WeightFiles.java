// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import reverie.tensor.ReverieException;

/**
 * Finds the weights in a model's folder as Hugging Face's libraries write them: in one file {@code
 * NAME.safetensors}, or in several with an index {@code NAME.safetensors.index.json}; and the
 * variants of both, {@code NAME.VARIANT.safetensors} and {@code
 * NAME.safetensors.index.VARIANT.json}. Either is opened by {@link Safetensors#open}.
 */
public final class WeightFiles {
  /** The more exact first; {@code non_ema} is the model before averaging. */
  private static final List<String> VARIANTS = List.of("", "fp32", "fp16", "bf16", "non_ema");

  private record Found(Path path, String variant) {}

  private WeightFiles() {}

  /**
   * The file, or the index, of a model's weights: those without a variant if they are there, else
   * {@code fp32}, {@code fp16}, {@code bf16}, {@code non_ema}, else the only one.
   *
   * @param name without an ending: {@code diffusion_pytorch_model}, or {@code model} as
   *     transformers writes
   * @throws ReverieException if there is none, or several of variants that are not known
   */
  public static Path find(Path folder, String name) {
    List<String> present = names(folder);
    List<Found> found = new ArrayList<>();
    String base = Pattern.quote(name);
    Pattern whole = Pattern.compile(base + "(?:\\.([\\w-]+))?\\.safetensors");
    Pattern index = Pattern.compile(base + "\\.safetensors\\.index(?:\\.([\\w-]+))?\\.json");
    for (Pattern pattern : List.of(whole, index)) {
      for (String file : present) {
        Matcher m = pattern.matcher(file);
        if (m.matches() && !file.matches(".*-\\d{5}-of-\\d{5}\\..*")) {
          found.add(new Found(folder.resolve(file), m.group(1) == null ? "" : m.group(1)));
        }
      }
    }
    if (found.isEmpty()) {
      throw missing(folder, name, present);
    }
    Found best = found.stream().min(Comparator.comparingInt(WeightFiles::rank)).orElseThrow();
    if (rank(best) == VARIANTS.size() && found.size() > 1) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "weights: expected one file %s.safetensors in %s, got %s",
              name,
              folder,
              found.stream().map(f -> f.path().getFileName()).toList()),
          "rename the one to use to " + name + ".safetensors");
    }
    return best.path();
  }

  private static int rank(Found found) {
    int rank = VARIANTS.indexOf(found.variant());
    return rank < 0 ? VARIANTS.size() : rank;
  }

  private static List<String> names(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    } catch (IOException e) {
      throw new ReverieException(
          "weights: cannot read the folder " + folder + ": " + e, "check path and permissions", e);
    }
  }

  private static ReverieException missing(Path folder, String name, List<String> present) {
    String expected =
        String.format(Locale.ROOT, "weights: expected %s.safetensors in %s, got ", name, folder);
    List<String> shards =
        present.stream().filter(f -> f.matches(".*-\\d{5}-of-\\d{5}\\..*safetensors")).toList();
    if (!shards.isEmpty()) {
      return new ReverieException(
          expected + shards.size() + " parts without their index",
          "download " + name + ".safetensors.index.json too");
    }
    List<String> pickled =
        present.stream().filter(f -> f.matches(".*\\.(bin|pt|pth|ckpt|index\\.json)")).toList();
    if (!pickled.isEmpty()) {
      return new ReverieException(
          expected + "only " + ReverieException.shown(pickled),
          "such a file holds Python objects, which are not run here; convert it with Python: load"
              + " the model by from_pretrained(folder), then save_pretrained(folder,"
              + " safe_serialization=True)");
    }
    return new ReverieException(expected + "no such file", "the download may be incomplete");
  }
}
