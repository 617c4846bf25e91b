// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import reverie.app.files.AtomicFile;
import reverie.app.files.JsonFile;
import reverie.autograd.nn.Lora;
import reverie.pipeline.lora.LoraFile;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A model folder that holds adapters alone, under the names of diffusers and of kohya's scripts,
 * and says in {@value #FILE} which model they belong to.
 *
 * @param path of the folder
 * @param base the folder of the model
 * @param weights what tells the model's files of weights from others
 */
public record AdapterFolder(Path path, Path base, String weights) {
  private static final String FILE = "reverie.json";
  private static final String KOHYA = "kohya_lora_weights.safetensors";
  private static final String BASE = "base";
  private static final String WEIGHTS = "base_weights";

  /** Whether a folder is one. */
  static boolean isOne(Path folder) {
    return Files.isRegularFile(folder.resolve(LoraFile.NAME))
        && Files.isRegularFile(folder.resolve(FILE));
  }

  static AdapterFolder read(Path folder) {
    Path file = folder.resolve(FILE);
    String hint = "name the model itself with --model and this folder's adapters with --lora";
    JsonNode json = JsonFile.readObject(file, hint);
    String base = json.path(BASE).asString("");
    String weights = json.path(WEIGHTS).asString("");
    if (base.isEmpty() || weights.isEmpty()) {
      throw new ReverieException(
          "model: expected the texts '" + BASE + "' and '" + WEIGHTS + "' in " + file, hint);
    }
    try {
      return new AdapterFolder(folder, Path.of(base), weights);
    } catch (InvalidPathException e) {
      throw new ReverieException("model: " + file + ": '" + base + "' is no path", hint, e);
    }
  }

  /** Of adapters to be written for the model in {@code base}. */
  public static AdapterFolder of(Path path, Path base) {
    return new AdapterFolder(path, base.toAbsolutePath(), digest(base));
  }

  /** The file of adapters. */
  Path adapters() {
    return path.resolve(LoraFile.NAME);
  }

  /**
   * Checks that the model is the one that was adapted.
   *
   * @throws ReverieException if its weights are others
   */
  void requireBase() {
    String found = digest(base);
    if (!found.equals(weights)) {
      throw new ReverieException(
          "model: the adapters in "
              + path
              + " belong to a model with the weights "
              + weights
              + ", but "
              + base
              + " has "
              + found,
          "put that model back, or add the adapters to this one with --model and --lora");
    }
  }

  /** What tells the weights in a model's folder from others: of its U-Net, or of its adapters. */
  private static String digest(Path base) {
    Path unet = base.resolve("unet");
    List<Path> files = new ArrayList<>();
    if (isOne(base)) {
      files.add(base.resolve(LoraFile.NAME));
    } else if (Files.isDirectory(unet)) {
      try (Stream<Path> all = Files.list(unet)) {
        all.filter(file -> file.toString().endsWith(".safetensors")).sorted().forEach(files::add);
      } catch (IOException e) {
        throw AtomicFile.readFailure(unet, e);
      }
    }
    return WeightsDigest.ofFiles(files);
  }

  /**
   * Writes adapters with the values that they compute with at the moment.
   *
   * @param parts by their names in the file
   */
  public void write(Map<String, Lora> parts) {
    try {
      Files.createDirectories(path);
    } catch (IOException e) {
      throw AtomicFile.failure(path, e);
    }
    LoraFile.write(path.resolve(LoraFile.NAME), parts, LoraFile.Format.DIFFUSERS, DType.F32);
    LoraFile.write(path.resolve(KOHYA), parts, LoraFile.Format.KOHYA, DType.F32);
    Map<String, Object> json = new LinkedHashMap<>();
    json.put(BASE, base.toString());
    json.put(WEIGHTS, weights);
    AtomicFile.writeText(
        path.resolve(FILE),
        JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n");
  }
}
