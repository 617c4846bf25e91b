// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.util.Locale;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Puts settings on top of others, which may only change what there is. */
final class SettingsTree {
  private SettingsTree() {}

  /** Changes {@code base} by {@code layer}, which may only have keys that the defaults have. */
  static void merge(
      ObjectNode base, ObjectNode defaults, ObjectNode layer, String place, String path) {
    for (var entry : layer.properties()) {
      set(base, defaults, entry.getKey(), entry.getValue(), place, path);
    }
  }

  /** Changes one key of {@code base}. */
  static void set(
      ObjectNode base, ObjectNode defaults, String key, JsonNode value, String place, String path) {
    String full = path.isEmpty() ? key : path + "." + key;
    JsonNode known = defaults.get(key);
    if (known == null) {
      throw unknown(full, key, defaults, place, path);
    }
    if (known instanceof ObjectNode inner && !isFree(inner)) {
      if (!(value instanceof ObjectNode settings)) {
        throw new ConfigurationException(
            String.format(
                Locale.ROOT,
                "%s: '%s' is a group of settings (%s), but a value came: %s",
                place,
                full,
                String.join(", ", inner.propertyNames()),
                value),
            "write the settings indented under it, or --set "
                + full
                + "."
                + inner.propertyNames().iterator().next()
                + "=…");
      }
      merge((ObjectNode) base.get(key), inner, settings, place, full);
    } else {
      base.set(key, value);
    }
  }

  /** A map whose keys are the user's own is empty in the defaults. */
  private static boolean isFree(ObjectNode defaults) {
    return defaults.isEmpty();
  }

  static ConfigurationException unknown(
      String full, String key, ObjectNode known, String place, String path) {
    String where = path.isEmpty() ? "" : " in '" + path + "'";
    String hint =
        Nearest.to(key, known.propertyNames())
            .map(nearest ->
                "did you mean '" + (path.isEmpty() ? nearest : path + "." + nearest) + "'?")
            .orElse("known keys" + where + ": " + String.join(", ", known.propertyNames()));
    return new ConfigurationException(
        String.format(Locale.ROOT, "%s: unknown key '%s'", place, full), hint);
  }
}
