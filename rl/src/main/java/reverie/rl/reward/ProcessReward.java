// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import reverie.tensor.ReverieException;
import reverie.tensor.io.TemporaryFolder;

/**
 * A reward computed by a program of your own, in any language, that runs as long as the training
 * does. For every batch it reads one line from its standard input, the path of a folder with {@code
 * 0000.png}, {@code 0001.png} … and {@code prompts.txt} (one prompt a line, in the same order), and
 * answers with exactly one line of as many numbers, separated by spaces. The folder is deleted
 * after the answer. What it writes to standard error appears in the error if it fails.
 *
 * <p>The program is not trusted: a line too much, a line that does not end, or an end of its own is
 * an error, and closing ends whatever it has started.
 */
public final class ProcessReward implements Reward {
  /** In the environment of the program and of all that it starts, to find them at the end. */
  private static final String MARK = "REVERIE_REWARD";

  private static final int BYTES_PER_SCORE = 64;
  private static final int QUOTED = 200;

  private final String name;
  private final List<String> command;
  private final Thread atTheEnd = new Thread(this::close, "end of a reward");
  private Running running;

  /** A program and its arguments; it is started with the first batch. */
  public ProcessReward(String name, List<String> command) {
    if (command.isEmpty()) {
      throw new ReverieException("reward " + name + ": expected a command, got none");
    }
    this.name = name;
    this.command = List.copyOf(command);
  }

  /** A program named after its script, {@code my_reward} for {@code [python3, my_reward.py]}. */
  public ProcessReward(List<String> command) {
    this(named(command), command);
  }

  private static String named(List<String> command) {
    return command.stream()
        .filter(word -> word.matches("[^-].*\\.[A-Za-z]{1,4}"))
        .findFirst()
        .or(() -> command.stream().findFirst())
        .map(word -> word.replaceFirst(".*[/\\\\]", "").replaceFirst("(?<=.)\\.[A-Za-z]{1,4}$", ""))
        .orElse("command");
  }

  /** A line of the program, or the reason why there will be no more. */
  private record Answer(String line, String end) {}

  private record Running(
      Process process,
      String mark,
      TemporaryFolder folder,
      BlockingQueue<Answer> answers,
      Tail errors) {}

  @Override
  public String name() {
    return name;
  }

  @Override
  public void start() {
    try {
      started();
    } catch (IOException e) {
      throw new ReverieException(
          "reward " + name + ": the temporary folder cannot be written (" + e.getMessage() + ")",
          "free some space there",
          e);
    }
  }

  @Override
  public double[] score(RewardBatch batch) throws IOException, InterruptedException {
    Running program = started();
    requireSilence(program);
    Path folder = Files.createTempDirectory(program.folder().path(), "batch");
    try {
      write(batch, folder);
      Answer answer = ask(program, folder);
      requireSilence(program);
      if (answer.line() == null) {
        throw failed(
            program,
            answer.end(),
            "it must answer every line it reads with one line of numbers, and flush it");
      }
      return numbers(answer.line(), batch.size());
    } finally {
      delete(folder);
    }
  }

  private static Answer ask(Running program, Path folder) throws InterruptedException {
    try {
      OutputStream questions = program.process().getOutputStream();
      questions.write((folder + "\n").getBytes(StandardCharsets.UTF_8));
      questions.flush();
    } catch (IOException broken) {
      // It reads no more; what it said before it ended says why.
    }
    Answer answer = program.answers().take();
    if (answer.line() == null) {
      program.answers().add(answer); // there is no other to come
    }
    return answer;
  }

  /** A line that nobody asked for would be taken for the answer to a later batch. */
  private void requireSilence(Running program) {
    Answer early = program.answers().peek();
    if (early != null && early.line() != null) {
      throw failed(
          program,
          "wrote a line that was not asked for: \"" + quoted(early.line()) + "\"",
          "write one line for each line read, and everything else to standard error");
    }
  }

  private double[] numbers(String line, int expected) {
    String[] words = line.isBlank() ? new String[0] : line.strip().split("\\s+");
    String hint = "answer with " + expected + " numbers separated by spaces; log to standard error";
    if (words.length != expected) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "reward %s: expected %d scores, got %d: \"%s\"",
              name,
              expected,
              words.length,
              quoted(line.strip())),
          hint);
    }
    try {
      return Arrays.stream(words).mapToDouble(Double::parseDouble).toArray();
    } catch (NumberFormatException e) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "reward %s: the program %s answered \"%s\"",
              name,
              command,
              quoted(line.strip())),
          hint,
          e);
    }
  }

  private ReverieException failed(Running program, String what, String hint) {
    return new ReverieException(
        String.format(
            Locale.ROOT,
            "reward %s: the program %s %s%s",
            name,
            command,
            what,
            program.errors().lastWords()),
        hint);
  }

  private static String quoted(String text) {
    return text.length() <= QUOTED ? text : text.substring(0, QUOTED) + "…";
  }

  /** Ends the program and all that it started. */
  @Override
  public synchronized void close() {
    if (running == null) {
      return;
    }
    Stream.concat(running.process().descendants(), marked(running.mark()))
        .forEach(ProcessHandle::destroyForcibly);
    running.process().destroyForcibly();
    running.folder().close();
    running = null;
    if (Thread.currentThread() != atTheEnd) {
      Runtime.getRuntime().removeShutdownHook(atTheEnd);
    }
  }

  /** Processes of this program whose parents have ended, on systems that tell an environment. */
  private static Stream<ProcessHandle> marked(String mark) {
    return ProcessHandle.allProcesses().filter(process -> isMarked(process.pid(), mark));
  }

  private static boolean isMarked(long pid, String mark) {
    try {
      byte[] environment = Files.readAllBytes(Path.of("/proc/" + pid + "/environ"));
      return new String(environment, StandardCharsets.ISO_8859_1).contains(MARK + "=" + mark);
    } catch (IOException e) {
      return false; // It has ended, belongs to somebody else, or there is no such folder.
    }
  }

  private synchronized Running started() throws IOException {
    if (running == null) {
      TemporaryFolder folder = TemporaryFolder.create("reverie-reward");
      String mark = folder.path().getFileName().toString();
      ProcessBuilder builder = new ProcessBuilder(command);
      builder.environment().put(MARK, mark);
      Process process;
      try {
        process = builder.start();
      } catch (IOException e) {
        folder.close();
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "reward %s: the program %s cannot be started (%s)",
                name,
                command,
                e.getMessage()),
            "check the command's path and permissions",
            e);
      }
      running = new Running(process, mark, folder, new LinkedBlockingQueue<>(), new Tail(process));
      Runtime.getRuntime().addShutdownHook(atTheEnd);
      Running started = running;
      Thread.ofPlatform().daemon().name("answers of " + name).start(() -> listen(started));
    }
    return running;
  }

  /** Reads answers as they come, so that none can pass for a later one. */
  private static void listen(Running program) {
    try (InputStream in = program.process().getInputStream()) {
      StringBuilder line = new StringBuilder();
      for (int c; (c = in.read()) >= 0; ) {
        if (c == '\n') {
          program.answers().add(new Answer(line.toString(), null));
          line.setLength(0);
        } else if (line.length() < BYTES_PER_SCORE << 14) {
          line.append((char) c);
        } else {
          program.answers().add(new Answer(null, "wrote a line that does not end"));
          return;
        }
      }
      program.process().waitFor();
      program.errors().await();
      program
          .answers()
          .add(
              new Answer(
                  null,
                  "ended without an answer (exit code " + program.process().exitValue() + ")"));
    } catch (IOException | InterruptedException e) {
      program.answers().add(new Answer(null, "ended without an answer (" + e + ")"));
    }
  }

  private static void write(RewardBatch batch, Path folder) throws IOException {
    for (int i = 0; i < batch.size(); i++) {
      ImageIO.write(
          batch.images().image(i),
          "png",
          folder.resolve(String.format(Locale.ROOT, "%04d.png", i)).toFile());
    }
    Files.write(
        folder.resolve("prompts.txt"),
        batch.prompts().stream().map(prompt -> prompt.text().replaceAll("\\R", " ")).toList());
  }

  private static void delete(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException | UncheckedIOException e) {
      // A left-over in the temporary folder must not hide the error that ended the run.
    }
  }
}
