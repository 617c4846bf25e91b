// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Typed reading of a config.json, whose values may be left out, null, or one value for a list. */
record ConfigReader(ObjectNode json) {
  /** Beyond every model, and small enough that products with a layer's width factor are exact. */
  private static final int LARGEST = 1 << 20;

  static ReverieException error(String key, String expected, Object got) {
    return new ReverieException(
        "unet config: " + key + ": expected " + expected + ", got " + got,
        "see config.json of the model; the keys are those of diffusers");
  }

  boolean isNull(String key) {
    return json.path(key).isMissingNode() || json.path(key).isNull();
  }

  /** A whole number from 1 on. */
  int count(String key, int fallback) {
    return json.has(key) ? count(key, json.get(key)) : fallback;
  }

  double number(String key, double fallback) {
    if (!json.has(key)) {
      return fallback;
    }
    if (!json.get(key).isNumber()) {
      throw error(key, "a number", json.get(key));
    }
    return json.get(key).doubleValue();
  }

  boolean flag(String key, boolean fallback) {
    return json.has(key) ? flag(key, json.get(key)) : fallback;
  }

  /** A text, or null where the file says null. */
  String text(String key, String fallback) {
    if (!json.has(key)) {
      return fallback;
    }
    JsonNode value = json.get(key);
    if (value.isNull()) {
      return null;
    }
    return text(key, value);
  }

  /** A text that must be one of some. */
  String choice(String key, String fallback, List<String> allowed) {
    String value = text(key, fallback);
    if (value == null || !allowed.contains(value)) {
      throw error(key, "one of " + allowed, value);
    }
    return value;
  }

  List<String> texts(String key, List<String> fallback) {
    return json.has(key) ? list(key, json.get(key), ConfigReader::text) : fallback;
  }

  List<Integer> counts(String key, List<Integer> fallback) {
    return json.has(key) ? list(key, json.get(key), ConfigReader::count) : fallback;
  }

  /** One whole number per level; a single one stands for all. */
  List<Integer> counts(String key, int fallback, int levels) {
    if (!json.has(key) || !json.get(key).isArray()) {
      return repeated(count(key, fallback), levels);
    }
    return sized(key, list(key, json.get(key), ConfigReader::count), levels);
  }

  /** One flag per level; a single one stands for all. */
  List<Boolean> flags(String key, boolean fallback, int levels) {
    if (!json.has(key) || !json.get(key).isArray()) {
      return repeated(flag(key, fallback), levels);
    }
    return sized(key, list(key, json.get(key), ConfigReader::flag), levels);
  }

  static <T> List<T> sized(String key, List<T> values, int levels) {
    if (values.size() != levels) {
      throw error(key, levels + " values, as many as down_block_types", values);
    }
    return values;
  }

  static <T> List<T> repeated(T value, int levels) {
    return java.util.Collections.nCopies(levels, value);
  }

  private static <T> List<T> list(
      String key, JsonNode value, BiFunction<String, JsonNode, T> element) {
    if (!value.isArray()) {
      throw error(key, "a list", value);
    }
    List<T> out = new ArrayList<>();
    for (JsonNode e : value) {
      out.add(element.apply(key, e));
    }
    return List.copyOf(out);
  }

  private static int count(String key, JsonNode value) {
    if (!value.isIntegralNumber()
        || !value.canConvertToInt()
        || value.intValue() < 1
        || value.intValue() > LARGEST) {
      throw error(key, "a whole number from 1 to " + LARGEST, value);
    }
    return value.intValue();
  }

  private static boolean flag(String key, JsonNode value) {
    if (!value.isBoolean()) {
      throw error(key, "true or false", value);
    }
    return value.booleanValue();
  }

  private static String text(String key, JsonNode value) {
    if (!value.isString()) {
      throw error(key, "a text", value);
    }
    return value.stringValue();
  }
}
