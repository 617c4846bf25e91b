// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import reverie.app.files.AtomicFile;
import reverie.app.files.JsonFile;
import reverie.tensor.ReverieException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The folder that holds all of one run: its configuration, command, environment, log, metrics,
 * checkpoints, images, report and summary.
 *
 * <p>Only one process writes to it at a time (a lock that the system releases when the process
 * dies). A folder that holds anything else is never touched.
 */
public final class RunFolder implements AutoCloseable {
  /** The resolved configuration. */
  public static final String CONFIG = "config.yaml";

  /** The command line. */
  public static final String COMMAND = "command.txt";

  /** What it was computed with. */
  public static final String VERSIONS = "versions.json";

  private static final String DEVICE = "device";
  private static final DateTimeFormatter STAMP =
      DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss", Locale.ROOT);

  private final Path path;
  private final RunLock lock;
  private final RunLog log;
  private final Clock clock;

  private RunFolder(Path path, RunLock lock, RunLog log, Clock clock) {
    this.path = path;
    this.lock = lock;
    this.log = log;
    this.clock = clock;
  }

  /**
   * Where a run goes when the user named no folder.
   *
   * @param name the kind of run, for example "quickstart"
   * @param clock the time in its name
   * @return {@code runs/NAME-DATE-TIME}
   */
  public static Path defaultPath(String name, Clock clock) {
    return Path.of("runs", name + "-" + STAMP.format(LocalDateTime.now(clock)));
  }

  /**
   * Begins a new run.
   *
   * @param path the folder; made when missing, refused when anything is in it
   * @param settings what it is started with
   * @param command the command line
   * @param console where the log's lines are said
   * @return the locked folder
   */
  public static RunFolder create(
      Path path, RunSettings settings, List<String> command, PrintWriter console) {
    refuseForeign(path);
    try {
      Files.createDirectories(path);
    } catch (IOException e) {
      throw AtomicFile.failure(path, e);
    }
    RunFolder run = lock(path, console);
    try {
      AtomicFile.writeText(path.resolve(COMMAND), String.join(" ", command) + "\n");
      AtomicFile.writeText(
          path.resolve(VERSIONS),
          new JsonMapper()
                  .writerWithDefaultPrettyPrinter()
                  .writeValueAsString(Environment.current().toMap())
              + "\n");
      AtomicFile.writeText(path.resolve(CONFIG), settings.yaml());
      run.log.note("started: " + String.join(" ", command));
      return run;
    } catch (RuntimeException e) {
      run.close();
      throw e;
    }
  }

  /**
   * Goes on with a run.
   *
   * @param path its folder
   * @param settings what is asked for now
   * @param console where the log's lines are said
   * @return the locked folder
   * @throws ReverieException listing the settings with which the run cannot go on
   */
  public static RunFolder resume(Path path, RunSettings settings, PrintWriter console) {
    String stored = readConfig(path);
    settings.requireResumable(path, stored);
    RunFolder run = lock(path, console);
    run.removeTemporaries();
    if (!settings.differencesFrom(stored).isEmpty()) {
      AtomicFile.writeText(path.resolve(CONFIG), settings.yaml());
    }
    run.log.note("resumed");
    return run;
  }

  /**
   * Reads the configuration that a run was started with.
   *
   * @param path the run's folder
   * @return YAML
   */
  public static String readConfig(Path path) {
    Path config = path.resolve(CONFIG);
    if (!Files.exists(path)) {
      throw new ReverieException(
          "resume " + path + ": there is no such folder",
          "check the path; it is relative to where you are");
    }
    if (!Files.isRegularFile(config)) {
      throw new ReverieException(
          "resume " + path + ": this is no run folder: it has no " + CONFIG,
          "give the folder that an earlier command made, such as runs/finetune-20260131-120000; a"
              + " study goes on by the same ./reverie reproduce");
    }
    try {
      return Files.readString(config);
    } catch (IOException e) {
      throw AtomicFile.readFailure(config, e);
    }
  }

  /**
   * The folder itself.
   *
   * @return its path
   */
  public Path path() {
    return path;
  }

  /**
   * A file or folder in it.
   *
   * @param name its name; inner folders by slashes
   * @return its path, whose parent folder exists
   */
  public Path resolve(String name) {
    Path file = path.resolve(name);
    try {
      Files.createDirectories(file.getParent());
    } catch (IOException e) {
      throw AtomicFile.failure(file.getParent(), e);
    }
    return file;
  }

  /**
   * The run's log.
   *
   * @return the log
   */
  public RunLog log() {
    return log;
  }

  /**
   * Opens the run's metrics.
   *
   * @param nextStep the first step that will be logged: 0 for a new run, else the one after the
   *     checkpoint
   * @return the metrics; close them before the folder
   */
  public Metrics metrics(long nextStep) {
    return Metrics.open(path, nextStep, clock);
  }

  /**
   * Refuses to begin again what was measured and is in no checkpoint: it would be lost without a
   * word.
   *
   * @param checkpoint that is missing
   * @param every steps (or epochs) between two of them
   * @param unit what is counted, for the error
   */
  public void requireNoLostCheckpoint(Path checkpoint, long every, String unit) {
    List<Metrics.Line> lines = Metrics.read(path);
    if (lines.isEmpty()) {
      return;
    }
    if (lines.getLast().step() > every) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "resume %s: %s is missing, though the run came to %s %d",
              path,
              checkpoint.getFileName(),
              unit,
              lines.getLast().step()),
          "put it back, or start a new run with another --out");
    }
    log.say("there is no checkpoint yet: starting from the beginning");
  }

  /**
   * Writes an object as indented JSON.
   *
   * @param name the file's name
   * @param value what Jackson can write
   */
  public void writeJson(String name, Object value) {
    AtomicFile.writeText(
        resolve(name),
        new JsonMapper().writerWithDefaultPrettyPrinter().writeValueAsString(value) + "\n");
  }

  /**
   * Records what computes, next to the versions. The same seed gives the same bits on the same
   * device only, so a run that goes on elsewhere is told.
   *
   * @param device as it describes itself
   */
  public void computesOn(String device) {
    Path file = path.resolve(VERSIONS);
    ObjectNode versions =
        Files.exists(file)
            ? (ObjectNode) JsonFile.readObject(file, "delete it; the run does not need it")
            : JsonMapper.shared().valueToTree(Environment.current().toMap());
    String before = versions.path(DEVICE).asString(null);
    if (before == null) {
      writeJson(VERSIONS, versions.put(DEVICE, device));
    } else if (!before.equals(device)) {
      log.say(String.format(Locale.ROOT, "computing on %s; the run began on %s", device, before));
    }
    log.note("computing on " + device);
  }

  /** Lets others write. */
  @Override
  public void close() {
    lock.close();
  }

  private static void refuseForeign(Path path) {
    if (!Files.exists(path)) {
      return;
    }
    if (!Files.isDirectory(path)) {
      throw new ReverieException(
          "run folder " + path + ": this is a file", "choose another folder with --out");
    }
    if (Files.exists(path.resolve(CONFIG))) {
      throw new ReverieException(
          "run folder " + path + ": it already holds a run",
          "go on with it by --resume " + path + ", or choose another folder with --out");
    }
    try (Stream<Path> files = Files.list(path)) {
      List<String> foreign =
          files
              .map(file -> file.getFileName().toString())
              .filter(name -> !isOurs(name))
              .sorted()
              .toList();
      if (!foreign.isEmpty()) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "run folder %s: it is not empty and holds no run (%s%s)",
                path,
                foreign.getFirst(),
                foreign.size() > 1 ? ", …" : ""),
            "choose a new or empty folder with --out; nothing was changed");
      }
    } catch (IOException e) {
      throw new ReverieException(
          "run folder " + path + ": " + AtomicFile.reason(e),
          "choose another folder with --out",
          e);
    }
  }

  /** What a run that died before it wrote its configuration leaves behind. */
  private static boolean isOurs(String name) {
    return List.of(RunLock.FILE, COMMAND, VERSIONS, "log.txt").contains(name)
        || AtomicFile.isTemporary(Path.of(name));
  }

  private static RunFolder lock(Path path, PrintWriter console) {
    RunLock lock = RunLock.take(path);
    Clock clock = Clock.systemDefaultZone();
    return new RunFolder(path, lock, new RunLog(path.resolve("log.txt"), console, clock), clock);
  }

  private void removeTemporaries() {
    try (Stream<Path> files = Files.walk(path)) {
      for (Path file :
          files
              .filter(f -> AtomicFile.isTemporary(f) && Files.isRegularFile(f, NOFOLLOW_LINKS))
              .toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException | UncheckedIOException e) {
      log.note("left-over temporary files stay: " + e);
    }
  }
}
