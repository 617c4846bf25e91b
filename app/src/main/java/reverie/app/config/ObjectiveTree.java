// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.util.Locale;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** How an objective is written: {@code prdp}, or {@code {prdp: {beta: 3}}} with settings. */
final class ObjectiveTree {
  static final String KEY = "objective";

  private ObjectiveTree() {}

  /**
   * Takes a choice; what was set of the same objective before stays.
   *
   * @param tree where the choice goes, under its key
   * @param choices every objective with its defaults
   */
  static void merge(ObjectNode tree, ObjectNode choices, JsonNode value, String place) {
    boolean group = value instanceof ObjectNode;
    String chosen =
        group
            ? value.size() == 1 ? first((ObjectNode) value) : ""
            : value.asString("").toLowerCase(Locale.ROOT);
    if (!choices.has(chosen)) {
      String shown = value.isString() ? "'" + value.stringValue() + "'" : value.toString();
      throw new ConfigurationException(
          String.format(
              Locale.ROOT,
              "%s: '%s' must be one of %s, but is %s",
              place,
              KEY,
              String.join(", ", choices.propertyNames()),
              shown),
          Nearest.to(
                  group && value.size() == 1 ? first((ObjectNode) value) : chosen,
                  choices.propertyNames())
              .map(nearest -> "did you mean '" + nearest + "'?")
              .orElse("for example --set " + KEY + "=" + first(choices)));
    }
    JsonNode before = tree.path(KEY).path(chosen);
    ObjectNode settings =
        before instanceof ObjectNode known ? known : ((ObjectNode) choices.get(chosen)).deepCopy();
    if (group) {
      JsonNode changes = value.get(chosen);
      String path = KEY + "." + chosen;
      if (!(changes instanceof ObjectNode inner)) {
        throw new ConfigurationException(
            String.format(
                Locale.ROOT,
                "%s: '%s' is a group of settings, but a value came: %s",
                place,
                path,
                changes),
            "for example --set " + KEY + "=" + chosen);
      }
      SettingsTree.merge(settings, (ObjectNode) choices.get(chosen), inner, place, path);
    }
    tree.set(KEY, tree.objectNode().set(chosen, settings));
  }

  private static String first(ObjectNode node) {
    return node.propertyNames().iterator().next();
  }
}
