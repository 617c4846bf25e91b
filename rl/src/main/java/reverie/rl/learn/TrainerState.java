// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;
import reverie.tensor.io.Safetensors;

/**
 * A run between two epochs, as one safetensors file: tensors as tensors, the rest in its metadata.
 * There is no state of a random generator, since all chance is addressed by the counters.
 *
 * @param fingerprint what the run was set up with
 * @param counters whole numbers by name
 * @param numbers what else is remembered, by name
 * @param notes what the owner of the run wants to find again
 * @param tensors by name
 */
record TrainerState(
    Map<String, String> fingerprint,
    Map<String, Long> counters,
    Map<String, double[]> numbers,
    Map<String, Double> notes,
    Map<String, Tensor> tensors) {
  /** The entry of a fingerprint that says what computes. */
  static final String KERNELS = "kernels";

  private static final String FORMAT = "reverie run state 2";
  private static final String FORMAT_KEY = "format";
  private static final String SETUP = "setup.";
  private static final String COUNTER = "counter.";
  private static final String NOTE = "note.";

  void write(Path file) {
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
    tensors.forEach((name, tensor) -> {
      if (tensor.dtype() != DType.F32) {
        throw new ReverieException(
            "run state: " + name + " " + tensor.type() + " cannot be written, files hold F32",
            "train on a device that computes in F32");
      }
      entries.put(name, Safetensors.Entry.of(tensor));
    });
    Map<String, String> metadata = new TreeMap<>();
    metadata.put(FORMAT_KEY, FORMAT);
    fingerprint.forEach((name, value) -> metadata.put(SETUP + name, value));
    counters.forEach((name, value) -> metadata.put(COUNTER + name, value.toString()));
    numbers.forEach((name, values) ->
        metadata.put(
            name,
            Arrays.stream(values).mapToObj(Double::toString).collect(Collectors.joining(" "))));
    notes.forEach((name, value) -> metadata.put(NOTE + name, value.toString()));
    Safetensors.writeChecked(file, entries, metadata);
  }

  /**
   * Reads a state and checks all of it before anything is returned.
   *
   * @param fingerprint of the run that is to go on
   * @param counted names of the counters that it needs
   * @param expected tensors of the names and types that it needs
   */
  static TrainerState read(
      Path file,
      Device device,
      Map<String, String> fingerprint,
      Set<String> counted,
      Map<String, Tensor> expected) {
    try (Safetensors source = Safetensors.openChecked(file)) {
      Map<String, String> metadata = source.metadata();
      if (!FORMAT.equals(metadata.get(FORMAT_KEY))) {
        throw new ReverieException(
            "resume: "
                + file
                + " is not the state of a run (format "
                + metadata.get(FORMAT_KEY)
                + ")",
            "name the state file that the run wrote");
      }
      requireSame(file, metadata, fingerprint);
      Map<String, Tensor> tensors = tensors(file, source, device, expected);
      Map<String, Long> counters = new LinkedHashMap<>();
      for (String name : counted) {
        counters.put(name, counter(file, name, metadata.get(COUNTER + name)));
      }
      Map<String, double[]> numbers = new TreeMap<>();
      Map<String, Double> notes = new TreeMap<>();
      metadata.forEach((key, value) -> {
        if (key.startsWith(NOTE)) {
          notes.put(key.substring(NOTE.length()), number(file, key, value));
        } else if (!key.equals(FORMAT_KEY) && !key.startsWith(SETUP) && !key.startsWith(COUNTER)) {
          numbers.put(
              key,
              Arrays.stream(value.split(" ")).mapToDouble(v -> number(file, key, v)).toArray());
        }
      });
      return new TrainerState(fingerprint, counters, numbers, notes, tensors);
    }
  }

  private static void requireSame(
      Path file, Map<String, String> metadata, Map<String, String> fingerprint) {
    fingerprint.forEach((name, now) -> {
      String then = metadata.get(SETUP + name);
      if (!now.equals(then)) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "resume: %s was written by a run with another %s:\n  then %s\n  now  %s",
                file,
                name,
                then,
                now),
            name.equals(KERNELS)
                ? "other kernels round otherwise: resume on such a device; on a processor,"
                    + " -Dreverie.kernels=NAME in REVERIE_JAVA_OPTS chooses the kernels that it knows"
                : "resume with the configuration of that run, or start a new one");
      }
    });
  }

  private static Map<String, Tensor> tensors(
      Path file, Safetensors source, Device device, Map<String, Tensor> expected) {
    Set<String> missing = new TreeSet<>(expected.keySet());
    missing.removeAll(source.names());
    Set<String> surplus = new TreeSet<>(source.names());
    surplus.removeAll(expected.keySet());
    if (!missing.isEmpty() || !surplus.isEmpty()) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "resume: %s lacks %d of the run's tensors %s and has %d others %s",
              file,
              missing.size(),
              some(missing),
              surplus.size(),
              some(surplus)),
          "the state belongs to another model");
    }
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    expected.forEach((name, like) -> {
      if (!source.shape(name).equals(like.shape()) || source.dtype(name) != DType.F32) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "resume: %s: expected %s %s, got %s%s",
                file,
                name,
                like.type(),
                source.dtype(name),
                source.shape(name)),
            "the state belongs to another model");
      }
      if (!source.isFinite(name)) {
        throw new ReverieException(
            String.format(Locale.ROOT, "resume: %s: %s holds NaN or infinity", file, name),
            "the file was changed by hand or damaged");
      }
      tensors.put(name, source.tensor(name, device));
    });
    return tensors;
  }

  private static String some(Set<String> names) {
    return names.stream()
        .limit(3)
        .collect(Collectors.joining(", ", "(", names.size() > 3 ? ", …)" : ")"));
  }

  private static long counter(Path file, String name, String value) {
    if (value == null || !value.matches("\\d{1,15}")) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "resume: %s: expected a whole number of at least 0 for %s, got %s",
              file,
              name,
              value),
          "the file was changed by hand or damaged");
    }
    return Long.parseLong(value);
  }

  private static double number(Path file, String key, String value) {
    try {
      return Double.parseDouble(value);
    } catch (NumberFormatException e) {
      throw new ReverieException(
          String.format(
              Locale.ROOT, "resume: %s: expected numbers for %s, got \"%s\"", file, key, value),
          "the file was changed by hand or damaged",
          e);
    }
  }
}
