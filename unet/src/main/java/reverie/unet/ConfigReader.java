// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.Function;
import reverie.tensor.ReverieException;
import reverie.tensor.io.JsonText;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Typed reading of a config.json, whose values may be left out, null, or one value for a list.
 *
 * @param subject what errors begin with: "unet config"
 * @param source the whole file
 * @param json its keys and values
 */
public record ConfigReader(String subject, String source, ObjectNode json) {
  /** Beyond every model, and small enough that products with a layer's width factor are exact. */
  private static final int MAX_NUMBER = 1 << 20;

  private static final JsonMapper MAPPER = new JsonMapper(JsonText.FACTORY);

  /** Reads a file's text and has it parsed, with errors that name the file. */
  public static <T> T read(String subject, Path file, Function<String, T> parse) {
    String text = JsonText.read(file, subject);
    try {
      return parse.apply(text);
    } catch (ReverieException e) {
      throw new ReverieException(file + ": " + e.getMessage());
    }
  }

  /** The text of a config.json. */
  public static ConfigReader parse(String subject, String json) {
    JsonNode tree;
    try {
      tree = MAPPER.readTree(json);
    } catch (JacksonException e) {
      throw new ReverieException(
          subject + ": expected JSON, got " + JsonText.problem(e), "is the file cut off?", e);
    }
    if (!(tree instanceof ObjectNode object)) {
      throw new ReverieException(
          subject + ": expected a JSON object, got something else", "is it the right file?");
    }
    return new ConfigReader(subject, json, object);
  }

  /** What to throw where a key has another value than it should. */
  public ReverieException error(String key, String expected, Object got) {
    return error(subject, key, expected, got);
  }

  static ReverieException error(String subject, String key, String expected, Object got) {
    return new ReverieException(
        subject + ": " + key + ": expected " + expected + ", got " + ReverieException.shown(got),
        "see config.json of the model; the keys are those of diffusers");
  }

  /**
   * Refuses options that change the result and are not supported.
   *
   * @param neutral for each such key the values that change nothing, besides null and none
   */
  public void refuse(Map<String, List<Object>> neutral) {
    neutral.forEach((key, values) -> {
      JsonNode value = json.path(key);
      Object plain =
          switch (value) {
            case JsonNode v when v.isBoolean() -> v.booleanValue();
            case JsonNode v when v.isNumber() -> v.doubleValue();
            case JsonNode v when v.isString() -> v.stringValue();
            default -> value;
          };
      if (!value.isMissingNode() && !value.isNull() && !values.contains(plain)) {
        throw new ReverieException(
            subject + ": " + key + ": " + ReverieException.shown(value) + " is not supported",
            "supported are models without it" + (values.isEmpty() ? "" : ", or with " + values));
      }
    });
  }

  public boolean isNull(String key) {
    return json.path(key).isMissingNode() || json.path(key).isNull();
  }

  /** A whole number from 1 on. */
  public int count(String key, int fallback) {
    return json.has(key) ? count(key, json.get(key)) : fallback;
  }

  public double number(String key, double fallback) {
    if (!json.has(key)) {
      return fallback;
    }
    if (!json.get(key).isNumber()) {
      throw error(key, "a number", json.get(key));
    }
    return json.get(key).doubleValue();
  }

  public boolean flag(String key, boolean fallback) {
    return json.has(key) ? flag(key, json.get(key)) : fallback;
  }

  /** A text, or null where the file says null. */
  public String text(String key, String fallback) {
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
  public String choice(String key, String fallback, List<String> allowed) {
    String value = text(key, fallback);
    if (value == null || !allowed.contains(value)) {
      throw error(key, "one of " + allowed, value);
    }
    return value;
  }

  public List<String> texts(String key, List<String> fallback) {
    return json.has(key) ? list(key, json.get(key), this::text) : fallback;
  }

  public List<Integer> counts(String key, List<Integer> fallback) {
    return json.has(key) ? list(key, json.get(key), this::count) : fallback;
  }

  /** One whole number per level; a single one stands for all. */
  public List<Integer> counts(String key, int fallback, int levels) {
    if (!json.has(key) || !json.get(key).isArray()) {
      return repeated(count(key, fallback), levels);
    }
    return sized(key, list(key, json.get(key), this::count), levels);
  }

  /** One flag per level; a single one stands for all. */
  public List<Boolean> flags(String key, boolean fallback, int levels) {
    if (!json.has(key) || !json.get(key).isArray()) {
      return repeated(flag(key, fallback), levels);
    }
    return sized(key, list(key, json.get(key), this::flag), levels);
  }

  public <T> List<T> sized(String key, List<T> values, int levels) {
    if (values.size() != levels) {
      throw error(key, levels + " values, as many as down_block_types", values);
    }
    return values;
  }

  static <T> List<T> repeated(T value, int levels) {
    return Collections.nCopies(levels, value);
  }

  private <T> List<T> list(String key, JsonNode value, BiFunction<String, JsonNode, T> element) {
    if (!value.isArray()) {
      throw error(key, "a list", value);
    }
    List<T> out = new ArrayList<>();
    for (JsonNode e : value) {
      out.add(element.apply(key, e));
    }
    return List.copyOf(out);
  }

  private int count(String key, JsonNode value) {
    if (!value.isIntegralNumber()
        || !value.canConvertToInt()
        || value.intValue() < 1
        || value.intValue() > MAX_NUMBER) {
      throw error(key, "a whole number from 1 to " + MAX_NUMBER, value);
    }
    return value.intValue();
  }

  private boolean flag(String key, JsonNode value) {
    if (!value.isBoolean()) {
      throw error(key, "true or false", value);
    }
    return value.booleanValue();
  }

  private String text(String key, JsonNode value) {
    if (!value.isString()) {
      throw error(key, "a text", value);
    }
    return value.stringValue();
  }
}
