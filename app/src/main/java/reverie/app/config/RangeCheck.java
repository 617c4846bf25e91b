// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.util.Collection;
import java.util.Collections;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** Checks every number of a record, and of the records in it, against its {@link Range}. */
final class RangeCheck {
  private RangeCheck() {}

  static void check(Record value, String place) {
    check(value, place, "");
  }

  private static void check(Record value, String place, String path) {
    for (RecordComponent component : value.getClass().getRecordComponents()) {
      String key = path + snakeCase(component.getName());
      Object inner = get(component, value);
      if (inner instanceof Optional<?> optional) {
        inner = optional.orElse(null);
      }
      if (inner instanceof Record group) {
        check(group, place, key + ".");
      } else if (inner instanceof Number number) {
        check(number, component.getAnnotation(Range.class), place, key);
      } else if (inner instanceof Collection<?> list) {
        check(list, component.getAnnotation(Range.class), place, key);
      } else if (inner instanceof Map<?, ?> map) {
        map.forEach((name, entry) ->
            check(
                entry instanceof Collection<?> items ? items : Collections.singletonList(entry),
                null,
                place,
                key + "." + name));
      }
    }
  }

  private static void check(Collection<?> list, Range range, String place, String key) {
    for (Object element : list) {
      if (element == null) {
        throw new ConfigurationException(
            place + ": '" + key + "' has an empty entry",
            "give each entry a value, or leave it out");
      }
      if (element instanceof Number number) {
        check(number, range, place, key);
      }
    }
  }

  private static void check(Number number, Range range, String place, String key) {
    if (!Double.isFinite(number.doubleValue())) {
      throw new ConfigurationException(
          String.format(Locale.ROOT, "%s: '%s' must be finite, but is %s", place, key, number),
          "give it a finite number");
    }
    if (range != null && !isIn(range, number.doubleValue())) {
      throw new ConfigurationException(
          String.format(
              Locale.ROOT, "%s: '%s' must be %s, but is %s", place, key, allowed(range), number),
          "for example --set " + key + "=" + shown(range.above() ? range.min() + 1 : range.min()));
    }
  }

  private static boolean isIn(Range range, double value) {
    return value >= range.min() && value <= range.max() && !(range.above() && value == range.min());
  }

  static String allowed(Range range) {
    if (range.above()) {
      return Double.isInfinite(range.max())
          ? "above " + shown(range.min())
          : String.format(
              Locale.ROOT, "above %s and at most %s", shown(range.min()), shown(range.max()));
    }
    return Double.isInfinite(range.max())
        ? "at least " + shown(range.min())
        : "from " + shown(range.min()) + " to " + shown(range.max());
  }

  private static String shown(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e9
        ? Long.toString((long) value)
        : Double.toString(value);
  }

  static String snakeCase(String name) {
    return name.replaceAll("([a-z0-9])([A-Z])", "$1_$2").toLowerCase(java.util.Locale.ROOT);
  }

  private static Object get(RecordComponent component, Record value) {
    try {
      return component.getAccessor().invoke(value);
    } catch (IllegalAccessException | InvocationTargetException e) {
      throw new IllegalStateException("configuration records are public and plain", e);
    }
  }
}
