// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;
import reverie.app.run.RunSettings;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A resolved configuration: every setting has a value, known, of the right type and in its range.
 *
 * @param <T> the record that holds the settings
 */
public final class Configuration<T extends Record> implements RunSettings {
  private static final String STORED = "the configuration that the run was started with";

  private final T value;
  private final ObjectNode tree;

  Configuration(T value, ObjectNode tree) {
    this.value = value;
    this.tree = tree;
  }

  /**
   * The settings.
   *
   * @return the record
   */
  public T value() {
    return value;
  }

  @Override
  public String yaml() {
    return ConfigurationReader.YAML.writeValueAsString(tree);
  }

  /** A run may go on for longer than it was started for; nothing else may differ. */
  @Override
  public void requireResumable(Path run, String stored) {
    List<String> conflicts = differencesFrom(stored);
    ObjectNode before = ConfigurationReader.parse(STORED, stored);
    for (String length : List.of("epochs", "steps")) {
      if (tree.path(length).asInt(0) > before.path(length).asInt(0)) {
        conflicts.removeIf(line -> line.startsWith(length + ":"));
      }
    }
    if (!conflicts.isEmpty()) {
      throw new ConfigurationException(
          "resume "
              + run
              + ": the configuration differs from the one that the run was started with:\n  "
              + String.join("\n  ", conflicts),
          "leave these settings out to go on with the run, or start a new run with another --out");
    }
  }

  @Override
  public List<String> differencesFrom(String stored) {
    List<String> differences = new ArrayList<>();
    compare("", ConfigurationReader.parse(STORED, stored), tree, differences);
    return differences;
  }

  private static void compare(
      String path, JsonNode before, JsonNode now, List<String> differences) {
    if (before instanceof ObjectNode && now instanceof ObjectNode) {
      TreeSet<String> keys = new TreeSet<>(before.propertyNames());
      keys.addAll(now.propertyNames());
      for (String key : keys) {
        compare(
            path.isEmpty() ? key : path + "." + key, before.path(key), now.path(key), differences);
      }
    } else if (!same(before, now)) {
      differences.add(String.format(Locale.ROOT, "%s: %s → %s", path, shown(before), shown(now)));
    }
  }

  /** 1 and 1.0 are the same setting. */
  private static boolean same(JsonNode before, JsonNode now) {
    return before.isNumber() && now.isNumber()
        ? before.doubleValue() == now.doubleValue()
        : before.equals(now);
  }

  private static String shown(JsonNode node) {
    return node.isMissingNode() ? "(not there)" : node.toString();
  }
}
