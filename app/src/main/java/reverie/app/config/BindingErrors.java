// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import reverie.rl.learn.SettingException;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.exc.MismatchedInputException;

/** Says in the user's words why a value does not fit its setting. */
final class BindingErrors {
  private static final String TRAINING = "training.";

  private BindingErrors() {}

  static ConfigurationException explain(JacksonException error, JsonNode tree, String place) {
    ReverieException refused = refusal(error);
    if (refused instanceof ConfigurationException known) {
      return known;
    }
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
    String named = key.toString();
    if (named.startsWith(TRAINING)) {
      String[] path = named.substring(TRAINING.length()).split("\\.", 2);
      named = Bindings.key(path[0]) + (path.length > 1 ? "." + path[1] : "");
    }
    if (refused instanceof SettingException setting) {
      String setIn = Bindings.key(setting.setting());
      return new ConfigurationException(
          String.format(Locale.ROOT, "%s: '%s' %s", place, setIn, setting.problem()),
          "change it with --set " + setIn + "=…; --show-config explains it");
    }
    if (refused != null) {
      String[] message = refused.getMessage().split("\nhint: ", 2);
      return new ConfigurationException(
          place + ": " + message[0],
          message.length > 1 ? message[1] : "--show-config explains '" + named + "'");
    }
    Class<?> type =
        error instanceof MismatchedInputException mismatch && mismatch.getTargetType() != null
            ? mismatch.getTargetType()
            : Object.class;
    String came = value.isString() ? "'" + value.asString() + "'" : value.toString();
    String message =
        String.format(
            Locale.ROOT,
            "%s: '%s' must be %s, but is %s",
            place,
            named,
            value.isBigInteger() ? "a whole number of at most 64 bits" : kind(type),
            came);
    return new ConfigurationException(message, hint(type, named, value));
  }

  /** What the constructor of a record said, if it was one that failed. */
  private static ReverieException refusal(Throwable error) {
    for (Throwable cause = error; cause != null; cause = cause.getCause()) {
      if (cause instanceof ReverieException known) {
        return known;
      }
    }
    return null;
  }

  private static String kind(Class<?> type) {
    if (type.isEnum()) {
      return "one of " + String.join(", ", constants(type));
    }
    if (type == int.class || type == long.class || type == Integer.class) {
      return "a whole number";
    }
    if (type == double.class || type == Double.class) {
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
