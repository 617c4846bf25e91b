// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import reverie.tensor.ReverieException;

/**
 * A reward computed by a program of your own, in any language, that runs as long as the training
 * does. For every batch it reads one line from its standard input, the path of a folder with {@code
 * 0000.png}, {@code 0001.png} … and {@code prompts.txt} (one prompt a line, in the same order), and
 * answers with one line of as many numbers, separated by spaces. What it writes to standard error
 * appears in the error if it fails.
 */
public final class ProcessReward implements Reward, AutoCloseable {
  private static final int ERROR_LINES = 10;

  private final String name;
  private final List<String> command;
  private Running running;

  /** A program and its arguments; it is started with the first batch. */
  public ProcessReward(String name, List<String> command) {
    if (command.isEmpty()) {
      throw new ReverieException("reward " + name + ": expected a command, got none");
    }
    this.name = name;
    this.command = List.copyOf(command);
  }

  private record Running(Process process, BufferedReader answers, Path errors, Path folder) {}

  @Override
  public String name() {
    return name;
  }

  @Override
  public double[] score(RewardBatch batch) throws IOException {
    Running program = started();
    write(batch, program.folder());
    String answer;
    try {
      var question = program.process().outputWriter(StandardCharsets.UTF_8);
      question.write(program.folder() + "\n");
      question.flush();
      answer = program.answers().readLine();
    } catch (IOException broken) {
      answer = null;
    }
    if (answer == null) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "reward %s: the program %s ended without an answer%s",
              name,
              command,
              lastWords(program)),
          "it must answer every line it reads with one line of numbers");
    }
    String numbers = answer.strip();
    try {
      return Arrays.stream(numbers.split("\\s+")).mapToDouble(Double::parseDouble).toArray();
    } catch (NumberFormatException e) {
      throw new ReverieException(
          String.format(
              Locale.ROOT, "reward %s: the program %s answered \"%s\"", name, command, numbers),
          "answer with " + batch.size() + " numbers separated by spaces; log to standard error",
          e);
    }
  }

  /** Ends the program and those that it started. */
  @Override
  public synchronized void close() {
    if (running == null) {
      return;
    }
    running.process().descendants().forEach(ProcessHandle::destroyForcibly);
    running.process().destroyForcibly();
    try (var files = Files.walk(running.folder())) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
      Files.deleteIfExists(running.errors());
    } catch (IOException | UncheckedIOException e) {
      // A left-over in the temporary folder must not hide the error that ended the run.
    }
    running = null;
  }

  private synchronized Running started() throws IOException {
    if (running == null) {
      Path errors = Files.createTempFile("reverie-reward", ".log");
      Process process;
      try {
        process = new ProcessBuilder(command).redirectError(errors.toFile()).start();
      } catch (IOException e) {
        Files.delete(errors);
        throw new ReverieException(
            "reward "
                + name
                + ": the program "
                + command
                + " cannot be started ("
                + e.getMessage()
                + ")",
            "check the command's path and permissions",
            e);
      }
      running =
          new Running(
              process,
              process.inputReader(StandardCharsets.UTF_8),
              errors,
              Files.createTempDirectory("reverie-reward"));
    }
    return running;
  }

  private static void write(RewardBatch batch, Path folder) throws IOException {
    try (var old = Files.list(folder)) {
      for (Path file : old.toList()) {
        Files.delete(file);
      }
    }
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

  private static String lastWords(Running program) {
    try {
      List<String> lines =
          Files.readString(program.errors(), StandardCharsets.ISO_8859_1).lines().toList();
      return lines.subList(Math.max(0, lines.size() - ERROR_LINES), lines.size()).stream()
          .collect(Collectors.joining("\n  ", lines.isEmpty() ? "" : "; it wrote:\n  ", ""));
    } catch (IOException e) {
      return "";
    }
  }
}
