// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import reverie.app.data.PngImages;
import reverie.app.files.AtomicFile;
import reverie.app.files.JsonFile;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The numbers of a run as it goes on: one JSON object a line in {@code metrics.jsonl}, and the same
 * for TensorBoard.
 *
 * <p>A line is written by one call, so what a killed process leaves is whole lines and at most one
 * broken last one. Opening the file again for a resumed run repairs that line and drops the lines
 * of steps that will be done again. Any other damage is an error that names the line.
 */
public final class Metrics implements AutoCloseable {

  /** The file's name in the run folder. */
  public static final String FILE = "metrics.jsonl";

  /**
   * One line of the file.
   *
   * @param step the step (or epoch) it belongs to
   * @param values name to value; NaN where the value was not finite
   */
  public record Line(long step, Map<String, Double> values) {}

  private static final JsonMapper JSON = new JsonMapper();

  private final Path file;
  private final FileChannel channel;
  private final EventFile events;
  private final Clock clock;

  private Metrics(Path file, FileChannel channel, EventFile events, Clock clock) {
    this.file = file;
    this.channel = channel;
    this.events = events;
    this.clock = clock;
  }

  /**
   * Opens the metrics of a run folder.
   *
   * @param folder the run folder
   * @param nextStep the first step that this process will log; lines of this step and later ones
   *     are dropped
   * @param clock the time that is written down
   */
  static Metrics open(Path folder, long nextStep, Clock clock) {
    Path file = folder.resolve(FILE);
    if (Files.exists(file)) {
      repair(file, nextStep);
    }
    try {
      FileChannel channel =
          FileChannel.open(
              file,
              StandardOpenOption.CREATE,
              StandardOpenOption.WRITE,
              StandardOpenOption.APPEND,
              LinkOption.NOFOLLOW_LINKS);
      return new Metrics(file, channel, EventFile.open(folder, clock.instant(), nextStep), clock);
    } catch (IOException e) {
      throw AtomicFile.failure(file, e);
    }
  }

  /**
   * Writes the numbers of a step.
   *
   * @param step the step (or epoch); never decreasing
   * @param values name (as {@code group/name}) to value; a value that is not finite is written as
   *     null
   */
  public synchronized void log(long step, Map<String, Double> values) {
    Instant now = clock.instant();
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("step", step);
    line.put("time", now.toString());
    values.forEach((name, value) -> line.put(name, Double.isFinite(value) ? value : null));
    ByteBuffer bytes =
        ByteBuffer.wrap((JSON.writeValueAsString(line) + "\n").getBytes(StandardCharsets.UTF_8));
    try {
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
    } catch (IOException e) {
      throw AtomicFile.failure(file, e);
    }
    values.forEach((name, value) -> {
      if (Double.isFinite(value)) {
        events.scalar(now, step, tag(name), value);
      }
    });
  }

  /** TensorBoard makes a group of all names with the same word before a slash. */
  private static String tag(String name) {
    return name.contains("/") ? name : "training/" + name;
  }

  /**
   * Shows an image in TensorBoard.
   *
   * @param step the step (or epoch)
   * @param name its name there
   * @param image the image
   */
  public synchronized void image(long step, String name, BufferedImage image) {
    byte[] png = PngImages.png(image);
    events.image(clock.instant(), step, name, image.getWidth(), image.getHeight(), png);
  }

  /** Forces what was logged to the disk; call it just before a checkpoint is written. */
  public synchronized void sync() {
    try {
      channel.force(false);
    } catch (IOException e) {
      throw AtomicFile.failure(file, e);
    }
  }

  @Override
  public synchronized void close() {
    events.close();
    try {
      channel.close();
    } catch (IOException e) {
      throw AtomicFile.failure(file, e);
    }
  }

  /**
   * Reads the metrics of a run, also of one that is still going on.
   *
   * @param runFolder the run folder
   * @return its whole lines in order; none when nothing was logged
   */
  public static List<Line> read(Path runFolder) {
    List<Line> lines = new ArrayList<>();
    for (JsonNode node : wholeLines(runFolder.resolve(FILE))) {
      Map<String, Double> values = new LinkedHashMap<>();
      node.properties()
          .forEach(entry -> {
            if (!entry.getKey().equals("step") && !entry.getValue().isString()) {
              values.put(
                  entry.getKey(),
                  entry.getValue().isNumber() ? entry.getValue().doubleValue() : Double.NaN);
            }
          });
      lines.add(new Line(node.path("step").asLong(), values));
    }
    return lines;
  }

  private static void repair(Path file, long nextStep) {
    StringBuilder kept = new StringBuilder();
    for (JsonNode line : wholeLines(file)) {
      if (line.path("step").asLong() < nextStep) {
        kept.append(JSON.writeValueAsString(line)).append('\n');
      }
    }
    AtomicFile.writeText(file, kept.toString());
  }

  /** The lines up to the first broken one. */
  private static List<JsonNode> wholeLines(Path file) {
    List<JsonNode> lines = new ArrayList<>();
    if (!Files.exists(file)) {
      return lines;
    }
    try {
      // A cut inside a character must not be an error, so the bytes are decoded leniently.
      String text = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
      for (int from = 0, to; (to = text.indexOf('\n', from)) >= 0; from = to + 1) {
        lines.add(line(file, lines, text.substring(from, to)));
      }
      return lines;
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    }
  }

  private static JsonNode line(Path file, List<JsonNode> before, String text) {
    String problem;
    try {
      JsonNode line = JsonFile.parse(text);
      long last = before.isEmpty() ? -1 : before.getLast().path("step").longValue();
      if (line.isObject() && line.path("step").isIntegralNumber()) {
        if (line.path("step").canConvertToLong() && line.path("step").longValue() > last) {
          return line;
        }
        problem = "its step is not above that of the line before";
      } else {
        problem = "expected an object with a whole number \"step\"";
      }
    } catch (JacksonException e) {
      problem = JsonFile.reason(e);
    }
    throw new ReverieException(
        String.format(
            Locale.ROOT, "read %s: line %d is damaged: %s", file, before.size() + 1, problem),
        "delete this line to go on without its numbers");
  }
}
