// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import reverie.rl.learn.TrainerSettings;

/**
 * The configuration reference is what the code says: run with {@code -Dreverie.write=true} to write
 * it anew.
 */
class ConfigurationPageTest {
  private static final Path PAGE = Path.of("../docs/configuration.md");

  @Test
  void thePageIsWhatTheCodeSays() throws IOException {
    String page =
        """
        # Configuration reference

        Written from the code by `ConfigurationPageTest`; do not edit it. A setting is given in a file, `--config my.yaml`, which may hold any
        part of these, or on the command line, `--set sampling.steps=20`. The command line stands above the file, the file above a preset,
        the preset above the defaults below. `--show-config` prints them.

        """
            + section(
                "finetune",
                "It begins with the model and ends with the objectives and rewards to choose from.",
                FinetuneConfig.READER.documentation(),
                FinetuneConfig.class)
            + "\n"
            + section(
                "pretrain",
                "Trains a model from nothing, or goes on with one.",
                PretrainConfig.READER.documentation(),
                PretrainConfig.class);
    if (Boolean.getBoolean("reverie.write")) {
      Files.writeString(PAGE, page);
    }
    assertEquals(page, Files.readString(PAGE), "write it anew with -Dreverie.write=true");
  }

  private static String section(
      String command, String about, String yaml, Class<? extends Record> type) {
    Map<String, String> allowed = new TreeMap<>();
    collect(type, "", allowed);
    return "## `reverie %s`\n\n%s\n\n```yaml\n%s\n```\n\nWhat is allowed:\n\n| setting | values |\n|---|---|\n%s"
        .formatted(
            command,
            about,
            yaml.strip(),
            allowed.entrySet().stream()
                .map(e -> "| `" + e.getKey() + "` | " + e.getValue() + " |\n")
                .collect(Collectors.joining()));
  }

  /** Ranges of numbers and names of choices, by key. */
  private static void collect(Class<?> type, String path, Map<String, String> allowed) {
    for (RecordComponent component : type.getRecordComponents()) {
      String key = path + RangeCheck.snakeCase(component.getName());
      Range range = component.getAnnotation(Range.class);
      Class<?> inner = raw(component.getGenericType());
      if (range != null) {
        allowed.put(
            key, (component.getType() == List.class ? "each " : "") + RangeCheck.allowed(range));
      } else if (inner.isEnum()) {
        allowed.put(
            key,
            Arrays.stream(inner.getEnumConstants())
                .map(constant -> "`" + ((Enum<?>) constant).name().toLowerCase(Locale.ROOT) + "`")
                .collect(Collectors.joining(", ")));
      } else if (inner == boolean.class || inner == Boolean.class) {
        allowed.put(key, "`true`, `false`");
      } else if (inner.isRecord()
          && inner != TrainerSettings.class
          && component.getType() == inner) {
        collect(inner, key + ".", allowed);
      }
    }
  }

  /** The type, or that of what may be there. */
  private static Class<?> raw(Type type) {
    return switch (type) {
      case Class<?> c -> c;
      case ParameterizedType p when p.getActualTypeArguments().length == 1 ->
          raw(p.getActualTypeArguments()[0]);
      default -> Object.class;
    };
  }
}
