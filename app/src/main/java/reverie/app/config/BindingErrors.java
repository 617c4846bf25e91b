// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.exc.MismatchedInputException;

/** Says in the user's words why a value does not fit its setting. */
final class BindingErrors {
  private BindingErrors() {}

  static ConfigurationException explain(JacksonException error, JsonNode tree, String place) {
    StringBuilder key = new StringBuilder();
    JsonNode value = tree;
    for (JacksonException.Reference step : error.getPath()) {
      if (step.getPropertyName() == null) {
        key.append('[').append(step.getIndex()).append(']');
        value = value.path(step.getIndex());
      } else {
        key.append(key.isEmpty() ? "" : ".").append(step.getPropertyName());
        value = value.path(step.getPropertyName());
      }
    }
    Class<?> type =
        error instanceof MismatchedInputException mismatch && mismatch.getTargetType() != null
            ? mismatch.getTargetType()
            : Object.class;
    String came = value.isString() ? "'" + value.asString() + "'" : value.toString();
    String message =
        String.format(Locale.ROOT, "%s: '%s' must be %s, but is %s", place, key, kind(type), came);
    return new ConfigurationException(message, hint(type, key.toString(), value));
  }

  private static String kind(Class<?> type) {
    if (type.isEnum()) {
      return "one of " + String.join(", ", constants(type));
    }
    if (type == int.class || type == long.class || type == Integer.class) {
      return "a whole number";
    }
    if (type == double.class) {
      return "a number";
    }
    if (type == boolean.class || type == Boolean.class) {
      return "true or false";
    }
    if (type == String.class) {
      return "a text";
    }
    return List.class.isAssignableFrom(type) ? "a list" : "something else";
  }

  private static String hint(Class<?> type, String key, JsonNode value) {
    if (type.isEnum()) {
      List<String> names = constants(type);
      return Nearest.to(value.asString(""), names)
          .map(nearest -> "did you mean '" + nearest + "'?")
          .orElse("for example --set " + key + "=" + names.getFirst());
    }
    String example = type == boolean.class ? "true" : type == String.class ? "text" : "4";
    return "for example --set "
        + key
        + "="
        + (List.class.isAssignableFrom(type) ? "[4, 8]" : example);
  }

  /** The names as they are written in YAML. */
  private static List<String> constants(Class<?> type) {
    return Arrays.stream(type.getEnumConstants())
        .map(constant -> ((Enum<?>) constant).name().toLowerCase(Locale.ROOT))
        .toList();
  }
}
