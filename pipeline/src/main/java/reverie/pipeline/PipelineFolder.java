// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.unet.ConfigReader;
import tools.jackson.databind.JsonNode;

/**
 * A folder of diffusers with a {@code model_index.json}.
 *
 * @param path of the folder
 * @param index the text of model_index.json
 * @param notes what a user should know of parts that are not used
 */
public record PipelineFolder(Path path, String index, List<String> notes) {
  static final String INDEX = "model_index.json";
  private static final String SUBJECT = "pipeline";
  private static final String SUPPORTED = "StableDiffusionPipeline";
  private static final String CLASS = "_class_name";

  /** The parts that are needed, and the classes that each may be of. */
  private static final Map<String, Set<String>> PARTS =
      Map.of(
          "tokenizer", Set.of("CLIPTokenizer", "CLIPTokenizerFast"),
          "text_encoder", Set.of("CLIPTextModel"),
          "unet", Set.of("UNet2DConditionModel"),
          "vae", Set.of("AutoencoderKL"),
          "scheduler", Set.of());

  /** What a model that draws images itself is made of. */
  private static final Set<String> IMAGE_PARTS = Set.of("unet", "scheduler");

  /**
   * Whether a folder is a pipeline, supported or not, of more than a U-Net and its noise: what its
   * denoiser draws is then no image.
   */
  public static boolean hasMoreParts(Path folder) {
    return isOne(folder)
        && ConfigReader.read(
            SUBJECT,
            folder.resolve(INDEX),
            text -> {
              ConfigReader c = ConfigReader.parse(SUBJECT, text);
              return c.json().properties().stream()
                  .map(Map.Entry::getKey)
                  .anyMatch(part -> !IMAGE_PARTS.contains(part) && type(c, part) != null);
            });
  }

  private static boolean isOne(Path folder) {
    return Files.isRegularFile(folder.resolve(INDEX));
  }

  /**
   * Looks at a folder without reading its weights.
   *
   * @throws ReverieException if it is no Stable Diffusion 1.x or 2.x pipeline, or a part is missing
   */
  public static PipelineFolder open(Path folder) {
    if (!isOne(folder)) {
      throw new ReverieException(
          "pipeline: expected a folder with "
              + INDEX
              + ", got "
              + folder
              + (Files.isDirectory(folder) ? "" : ", which is no folder"),
          "give the folder that holds "
              + INDEX
              + " and the folders "
              + PARTS.keySet().stream().sorted().toList());
    }
    return ConfigReader.read(SUBJECT, folder.resolve(INDEX), text -> parse(folder, text));
  }

  private static PipelineFolder parse(Path folder, String text) {
    ConfigReader c = ConfigReader.parse(SUBJECT, text);
    String name = c.text(CLASS, null);
    if (!SUPPORTED.equals(name)) {
      throw new ReverieException(
          "pipeline: expected a " + SUPPORTED + ", got " + (name == null ? "no " + CLASS : name),
          "supported are Stable Diffusion 1.x and 2.x" + (name == null ? "" : "; " + family(name)));
    }
    List<String> missing = new ArrayList<>();
    for (Map.Entry<String, Set<String>> part : new TreeMap<>(PARTS).entrySet()) {
      String type = type(c, part.getKey());
      if (type == null || !Files.isDirectory(folder.resolve(part.getKey()))) {
        missing.add(part.getKey());
      } else if (!part.getValue().isEmpty() && !part.getValue().contains(type)) {
        throw c.error(part.getKey(), "one of " + part.getValue().stream().sorted().toList(), type);
      }
    }
    if (!missing.isEmpty()) {
      throw new ReverieException(
          "pipeline: expected the parts "
              + PARTS.keySet().stream().sorted().toList()
              + ", missing "
              + missing,
          "the download may be incomplete");
    }
    List<String> notes = new ArrayList<>();
    if (type(c, "safety_checker") != null) {
      notes.add("the safety checker is left aside: images are not looked at");
    }
    if (type(c, "image_encoder") != null) {
      notes.add("the image encoder is left aside");
    }
    return new PipelineFolder(folder, text, List.copyOf(notes));
  }

  private static String family(String name) {
    return switch (name) {
      case String n when n.startsWith("StableDiffusionXL") ->
          "SDXL has a second text encoder and other conditions";
      case String n when n.startsWith("StableDiffusion3") ->
          "Stable Diffusion 3 is a transformer, not a U-Net";
      case String n when n.startsWith("LDM") -> "latents of a VQModel are not supported";
      case String n when n.startsWith("Flux") -> "FLUX is a transformer, not a U-Net";
      case String n when n.contains("Inpaint") || n.contains("Img2Img") ->
          "take the text-to-image pipeline of the same model";
      default -> "the folder says what it is in " + INDEX;
    };
  }

  /** The class of a part; null if the index has none. */
  private static String type(ConfigReader c, String part) {
    JsonNode pair = c.json().path(part);
    return pair.isArray() && pair.size() == 2 && pair.get(1).isString()
        ? pair.get(1).stringValue()
        : null;
  }

  /**
   * Writes everything but the weights into another folder. Parts with weights that are not read
   * here, such as the safety checker, are left out, and the index says so as diffusers does.
   *
   * @param dtype which the text encoder's configuration names
   */
  void copyTo(Path target, DType dtype) {
    ConfigReader c = ConfigReader.parse(SUBJECT, index);
    String written = index;
    try {
      for (String part : c.json().propertyNames()) {
        if (type(c, part) == null || !part.matches("\\w+")) {
          continue;
        }
        if (PARTS.containsKey(part) || isText(path.resolve(part))) {
          copy(part, target.resolve(part), dtype);
        } else {
          written =
              written.replaceFirst(
                  "(\"" + Pattern.quote(part) + "\"\\s*:\\s*)\\[[^]]*]",
                  "$1[\n    null,\n    null\n  ]");
        }
      }
      Files.writeString(target.resolve(INDEX), written);
    } catch (IOException e) {
      throw new ReverieException(
          "pipeline: " + target + " cannot be written: " + e, "check permissions and space", e);
    }
  }

  private static boolean isText(Path part) throws IOException {
    if (!Files.isDirectory(part)) {
      return false;
    }
    try (Stream<Path> files = Files.list(part)) {
      return files.allMatch(file -> file.toString().matches(".*\\.(json|txt)"));
    }
  }

  private void copy(String part, Path target, DType dtype) throws IOException {
    Files.createDirectories(target);
    try (DirectoryStream<Path> files =
        Files.newDirectoryStream(path.resolve(part), "*.{json,txt}")) {
      for (Path file : files) {
        if (!file.getFileName().toString().endsWith(".index.json")) {
          Files.writeString(
              target.resolve(file.getFileName()), typed(Files.readString(file), part, dtype));
        }
      }
    }
  }

  /** With the type of the weights where transformers keeps it, under its old or today's key. */
  private static String typed(String text, String part, DType dtype) {
    String name =
        switch (dtype) {
          case F16 -> "float16";
          case BF16 -> "bfloat16";
          default -> "float32";
        };
    return part.equals("text_encoder")
        ? text.replaceFirst("(\"(?:torch_)?dtype\": )\"\\w+\"", "$1\"" + name + "\"")
        : text;
  }

  /** A file of a part. */
  Path file(String part, String name) {
    return path.resolve(part).resolve(name);
  }
}
