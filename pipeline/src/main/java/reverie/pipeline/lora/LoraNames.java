// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.lora;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import reverie.autograd.nn.Lora;
import reverie.autograd.nn.Parameters;

/**
 * What tensors of adapters are called: by PEFT ({@code unet.MODULE.lora_A.weight}), by diffusers'
 * training scripts ({@code .lora.down.weight}), by diffusers up to 0.17 ({@code
 * .processor.to_q_lora.down.weight}) and by kohya's scripts ({@code
 * lora_unet_MODULE.lora_down.weight} with underscores for dots); with a name of the adapter before
 * {@code .weight}, or without. All are found by the module's name with underscores alone.
 */
final class LoraNames {
  /** What a tensor is to its adapter. */
  enum Role {
    DOWN,
    UP,
    ALPHA
  }

  /** A tensor's place. */
  record Place(String part, String module, Role role) {}

  private static final Pattern MATRIX =
      Pattern.compile(
          "(.+?)(?:\\.lora_|[._]lora\\.|\\.lora_linear_layer\\.)(A|B|down|up)(?:\\.[\\w-]+)?\\.weight");
  private static final String ALPHA = ".alpha";

  /** What PEFT, data-parallel training and torch.compile put around a model, in any order. */
  private static final Pattern WRAPPERS =
      Pattern.compile("(?:base_model\\.model\\.|module\\.|_orig_mod\\.)+");

  /** For each part its modules by their names with underscores. */
  private final Map<String, Map<String, String>> modules = new LinkedHashMap<>();

  LoraNames(Map<String, Parameters> parts) {
    parts.forEach((part, parameters) -> {
      Map<String, String> byName = new LinkedHashMap<>();
      Lora.modules(parameters).forEach(module -> byName.put(underscored(module), module));
      modules.put(part, byName);
    });
  }

  static String underscored(String module) {
    return module.replace('.', '_');
  }

  /** What kohya's scripts put before a module of a part. */
  static String kohyaPrefix(String part) {
    return part.equals(LoraFile.TEXT_ENCODER) ? "lora_te_" : "lora_" + part + "_";
  }

  /** Where a tensor of this name belongs; empty if the model has no such module. */
  Optional<Place> find(String name) {
    Matcher matrix = MATRIX.matcher(name);
    if (matrix.matches()) {
      boolean down = matrix.group(2).equals("A") || matrix.group(2).equals("down");
      return find(matrix.group(1), down ? Role.DOWN : Role.UP);
    }
    return name.endsWith(ALPHA)
        ? find(name.substring(0, name.length() - ALPHA.length()), Role.ALPHA)
        : Optional.empty();
  }

  private Optional<Place> find(String stem, Role role) {
    String name = unwrapped(stem);
    for (String part : modules.keySet()) {
      for (String prefix : List.of(part + ".", kohyaPrefix(part))) {
        if (name.startsWith(prefix)) {
          return module(part, unwrapped(name.substring(prefix.length())))
              .map(m -> new Place(part, m, role));
        }
      }
    }
    // A file of one part alone, without its name.
    String first = modules.keySet().iterator().next();
    return module(first, name).map(m -> new Place(first, m, role));
  }

  private static String unwrapped(String name) {
    Matcher wrappers = WRAPPERS.matcher(name);
    return wrappers.lookingAt() ? name.substring(wrappers.end()) : name;
  }

  private Optional<String> module(String part, String name) {
    String plain = underscored(name.replace(".processor.", "."));
    // Old names of projections: to_out for to_out.0, and to_q for q_proj in text encoders.
    return List.of(plain, plain + "_0", plain.replaceFirst("to_(q|k|v|out)$", "$1_proj")).stream()
        .map(modules.get(part)::get)
        .filter(module -> module != null)
        .findFirst();
  }
}
