// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import reverie.app.config.ConfigurationException;
import reverie.app.files.AtomicFile;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/**
 * The outcomes of finished runs in one small file, a line of JSON each, so that a study that was
 * begun on one machine goes on with another.
 */
final class Ledger {
  private static final JsonMapper JSON = JsonMapper.shared();

  private final Path file;
  private final Map<String, Line> lines = new TreeMap<>();

  /**
   * One finished run.
   *
   * @param run its folder's place below that of all runs
   * @param settings all that differ from the defaults
   * @param outcome its numbers
   */
  private record Line(String run, List<String> settings, Outcome outcome) {}

  /** Reads the file, if there is one. */
  Ledger(Path file) {
    this.file = file;
    if (!Files.exists(file)) {
      return;
    }
    try {
      int number = 0;
      for (String text : Files.readAllLines(file)) {
        number++;
        try {
          Line line = JSON.readValue(text, Line.class);
          lines.put(line.run, line);
        } catch (JacksonException e) {
          throw new ReverieException(
              "read " + file + ": line " + number + " is no outcome: " + e.getOriginalMessage(),
              "remove that line; its run is then done again",
              e);
        }
      }
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    }
  }

  /** The outcome of a run, if it is known. */
  Optional<Outcome> of(Reproduction.Job job) {
    Line line = lines.get(job.place());
    if (line == null) {
      return Optional.empty();
    }
    if (!line.settings.equals(job.settings())) {
      throw new ConfigurationException(
          String.format(
              Locale.ROOT,
              "reproduce: %s has the outcome of %s with other settings than asked for now:%n  then"
                  + " %s%n  now  %s",
              file,
              job.place(),
              line.settings,
              job.settings()),
          "choose another --outcomes, or remove that line");
    }
    return Optional.of(line.outcome);
  }

  /** Fails if the file could not be written, before anything is run for it. */
  void prepare() {
    AtomicFile.prepare(file);
  }

  /** Adds the outcome of a run and writes the file. */
  void add(Reproduction.Job job, Outcome outcome) {
    lines.put(job.place(), new Line(job.place(), job.settings(), outcome));
    StringBuilder text = new StringBuilder();
    lines.values().forEach(line -> text.append(JSON.writeValueAsString(line)).append('\n'));
    AtomicFile.writeText(file, text.toString());
  }
}
