// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.lora;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Collectors;
import reverie.autograd.nn.Lora;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What files of adapters say of themselves in {@code __metadata__}: diffusers keeps each part's
 * {@code LoraConfig} of PEFT in one JSON text, its keys after the part's name and a dot; kohya's
 * scripts have keys that begin with {@code ss_}.
 */
final class LoraMetadata {
  private static final String KEY = "lora_adapter_metadata";

  private LoraMetadata() {}

  static Map<String, String> of(Map<String, Lora> parts, LoraFile.Format format) {
    Map<String, String> metadata = new TreeMap<>();
    metadata.put("format", "pt");
    if (format == LoraFile.Format.KOHYA) {
      Lora.Size size = parts.values().iterator().next().adapters().getFirst().size();
      metadata.put("ss_network_module", "networks.lora");
      metadata.put("ss_network_dim", Integer.toString(size.rank()));
      metadata.put("ss_network_alpha", Double.toString(size.alpha()));
      return metadata;
    }
    Map<String, Object> config = new TreeMap<>();
    parts.forEach((part, lora) -> {
      Map<String, Integer> ranks = ranks(lora);
      int usual =
          ranks.values().stream()
              .collect(Collectors.groupingBy(Function.identity(), Collectors.counting()))
              .entrySet()
              .stream()
              .max(Map.Entry.comparingByValue())
              .orElseThrow()
              .getKey();
      ranks.values().removeIf(rank -> rank == usual);
      List<String> modules = lora.adapters().stream().map(Lora.Adapter::module).toList();
      config.put(part + ".peft_type", "LORA");
      config.put(part + ".r", usual);
      config.put(part + ".lora_alpha", usual);
      // The factor α/r is in B, so that α is the rank everywhere.
      config.put(part + ".rank_pattern", ranks);
      config.put(part + ".alpha_pattern", ranks);
      config.put(part + ".target_modules", modules);
      config.put(part + ".lora_dropout", 0.0);
      config.put(part + ".bias", "none");
    });
    metadata.put(
        KEY, JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(config));
    return metadata;
  }

  private static Map<String, Integer> ranks(Lora lora) {
    Map<String, Integer> ranks = new LinkedHashMap<>();
    lora.adapters().forEach(adapter -> ranks.put(adapter.module(), adapter.size().rank()));
    return ranks;
  }

  /** The text of diffusers' metadata, or an empty object. */
  static JsonNode parse(Path path, Map<String, String> metadata) {
    try {
      return JsonMapper.shared().readTree(metadata.getOrDefault(KEY, "{}"));
    } catch (JacksonException e) {
      throw new ReverieException(
          "lora: "
              + path
              + ": expected JSON in the metadata "
              + KEY
              + ", got "
              + e.getOriginalMessage(),
          "is it a file of diffusers?",
          e);
    }
  }

  /** As PEFT does: a regular expression of the whole name, or of its end after a dot. */
  private static boolean matches(String pattern, String module) {
    try {
      return module.matches("(.*\\.)?(" + pattern + ")");
    } catch (PatternSyntaxException e) {
      return module.equals(pattern) || module.endsWith("." + pattern);
    }
  }

  /** α of a module; the rank where nothing is said. */
  static double alpha(JsonNode config, String part, String module, int rank) {
    double usual = config.path(part + ".lora_alpha").asDouble(rank);
    double alpha =
        config.path(part + ".alpha_pattern").properties().stream()
            .filter(e -> matches(e.getKey(), module))
            .findFirst()
            .map(e -> e.getValue().asDouble(usual))
            .orElse(usual);
    // Rank-stabilised LoRA divides by √r.
    return config.path(part + ".use_rslora").asBoolean(false) ? alpha * Math.sqrt(rank) : alpha;
  }
}
