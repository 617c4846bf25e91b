// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import reverie.app.reward.RewardKind;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * How rewards are written: the name of a built-in one, {@code jpeg_compressibility}, or one kind
 * with its settings, {@code {http: {url: …}}}, and a label if it shall be called otherwise. The
 * same holds for what is optimised, for what is watched, for the terms of sums, and for the option
 * of commands that measure.
 */
final class RewardTree {
  /** Settings of what is optimised, in the configuration of a fine-tuning. */
  static final String KEY = "reward";

  /** A list of rewards. */
  static final String WATCH = "watch";

  private static final String SUM = "sum";

  /** Settings that are paths, and the word that stands in place of one. */
  private static final List<String> FILES =
      List.of("onnx", "describe.encoder", "describe.idf_prompts");

  private static final String SHIPPED = "minilm";

  private static final Set<String> SHARED = Set.of("label", "timeout_seconds");

  private RewardTree() {}

  /**
   * Puts a reward on top of what was asked for before: another kind takes its place, the same kind
   * has its settings changed.
   *
   * @param base what was asked for before
   * @param defaults the settings that every kind has, such as the label
   * @param kinds every kind with its defaults
   * @param path the key, for errors
   */
  static void merge(
      ObjectNode base,
      ObjectNode defaults,
      ObjectNode kinds,
      JsonNode value,
      String place,
      String path) {
    ObjectNode layer = layer(value, kinds, place, path);
    List<String> asked = layer.propertyNames().stream().filter(kinds::has).toList();
    if (asked.size() > 1) {
      throw new ConfigurationException(
          String.format(
              Locale.ROOT, "%s: '%s' is to be both %s", place, path, String.join(" and ", asked)),
          "keep one of them; several rewards are added by sum");
    }
    for (String kind : asked) {
      if (!base.has(kind)) {
        base.remove(RewardKind.byKey().keySet());
        base.set(kind, kinds.get(kind).deepCopy());
      }
    }
    ObjectNode known = kinds.deepCopy();
    SHARED.stream().filter(defaults::has).forEach(key -> known.set(key, defaults.get(key)));
    for (var entry : layer.properties()) {
      String key = entry.getKey();
      String full = path + "." + key;
      JsonNode setting = entry.getValue();
      if (key.equals(SUM)) {
        setting = list(setting, full, item -> term(item, kinds, place, full));
      }
      SettingsTree.set(base, known, key, setting, place, path);
    }
    for (String file : FILES) {
      int dot = file.indexOf('.');
      JsonNode group = dot < 0 ? base : base.path(file.substring(0, dot));
      String key = file.substring(dot + 1);
      if (group instanceof ObjectNode settings && settings.path(key).isString()) {
        settings.put(key, absolute(settings.get(key).stringValue(), path + "." + file, place));
      }
    }
  }

  /** A list of rewards; names stay as they are. */
  static JsonNode each(JsonNode list, ObjectNode kinds, String place, String path) {
    return list(list, path, item -> complete(item, kinds, place, path));
  }

  private interface Change {
    JsonNode of(JsonNode item);
  }

  private static JsonNode list(JsonNode value, String path, Change change) {
    if (!(value instanceof ArrayNode items)) {
      throw new ConfigurationException(
          "'" + path + "' must be a list, but is " + value, "for example --set " + path + "=[…]");
    }
    ArrayNode list = items.arrayNode();
    items.forEach(item -> list.add(change.of(item)));
    return list;
  }

  /** A whole reward: a name, or one kind with all its settings. */
  static JsonNode complete(JsonNode value, ObjectNode kinds, String place, String path) {
    if (value.isString()) {
      return value;
    }
    ObjectNode reward = kinds.objectNode().put("label", "");
    merge(reward, reward.deepCopy(), kinds, value, place, path);
    if (reward.propertyNames().stream().noneMatch(kinds::has)) {
      throw none(value, kinds, place, path);
    }
    return reward;
  }

  private static JsonNode term(JsonNode value, ObjectNode kinds, String place, String path) {
    ObjectNode term = kinds.objectNode();
    term.set(KEY, term.nullNode());
    term.put("weight", 1);
    term.put("normalize", false);
    term.set("mean", term.nullNode());
    term.set("deviation", term.nullNode());
    if (!(value instanceof ObjectNode layer) || !layer.has(KEY)) {
      throw new ConfigurationException(
          String.format(
              Locale.ROOT, "%s: '%s' has a term without a reward: %s", place, path, value),
          "for example {reward: jpeg_compressibility, weight: 0.5, normalize: true}");
    }
    SettingsTree.merge(term, term.deepCopy(), layer, place, path);
    term.set(KEY, complete(layer.get(KEY), kinds, place, path + "." + KEY));
    return term;
  }

  private static ObjectNode layer(JsonNode value, ObjectNode kinds, String place, String path) {
    if (value instanceof ObjectNode object) {
      return object;
    }
    if (value.isString()) {
      return kinds.objectNode().set("name", value);
    }
    throw none(value, kinds, place, path);
  }

  private static ConfigurationException none(
      JsonNode value, ObjectNode kinds, String place, String path) {
    return new ConfigurationException(
        String.format(Locale.ROOT, "%s: '%s' is no reward: %s", place, path, value),
        "write the name of a built-in reward, or one of "
            + String.join(", ", kinds.propertyNames())
            + " with its settings");
  }

  private static String absolute(String text, String key, String place) {
    try {
      return text.isEmpty() || text.equals(SHIPPED)
          ? text
          : Path.of(text).toAbsolutePath().normalize().toString();
    } catch (InvalidPathException e) {
      throw new ConfigurationException(
          place + ": '" + key + "' is no path: " + e.getReason(), "check it for odd characters");
    }
  }
}
