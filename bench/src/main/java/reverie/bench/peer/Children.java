// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import reverie.tensor.ReverieException;
import tools.jackson.databind.json.JsonMapper;

/** Starts child processes and waits for their answers. */
final class Children {
  private static final long LIMIT_MINUTES = 60;
  private static final int TAIL = 12;

  private final JsonMapper json = JsonMapper.builder().build();

  /** Where the libraries unpack themselves, beside our classes. */
  private final Path unpacked;

  Children() {
    URI classes = URI.create(Child.class.getProtectionDomain().getCodeSource().getLocation() + "");
    unpacked = Path.of(classes).resolveSibling("peers");
    String classPath = System.getProperty("java.class.path");
    if (!classPath.contains("pytorch-native-cpu")) {
      throw new ReverieException(
          "bench: LibTorch is not on the class path", "start by ./reverie bench --peers");
    }
  }

  /**
   * Does a task in a process of its own.
   *
   * @throws ReverieException with the end of what the child said, if it failed
   */
  Task.Answer run(Task task, Map<String, String> environment) {
    try {
      Files.createDirectories(unpacked);
      Path answer = Files.createTempFile("reverie-bench", ".json");
      Path log = Files.createTempFile("reverie-bench", ".log");
      try {
        Process child = start(task, answer, log, environment);
        boolean ended = child.waitFor(LIMIT_MINUTES, TimeUnit.MINUTES);
        if (!ended) {
          child.destroyForcibly();
        }
        if (!ended || child.exitValue() != 0) {
          throw failed(task, ended ? "ended with " + child.exitValue() : "took too long", log);
        }
        return json.readValue(Files.readString(answer), Task.Answer.class);
      } finally {
        Files.delete(answer);
        Files.delete(log);
      }
    } catch (IOException e) {
      throw new ReverieException(
          "bench: a child process cannot be started: " + e,
          "are there memory and room for temporary files?",
          e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ReverieException("bench: interrupted");
    }
  }

  private Process start(Task task, Path answer, Path log, Map<String, String> environment)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.add("-Dreverie.threads=" + task.threads());
    command.add("-Dorg.bytedeco.javacpp.cachedir=" + unpacked);
    // JavaCPP would end a process that has more memory than the heap twice over.
    command.add("-Dorg.bytedeco.javacpp.maxPhysicalBytes=0");
    command.add("-Dai.djl.offline=true");
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(Child.class.getName());
    command.add(json.writeValueAsString(task));
    command.add(answer.toString());
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.redirectOutput(log.toFile());
    builder.environment().putAll(environment);
    builder.environment().put("DJL_CACHE_DIR", unpacked.toString());
    builder.environment().put("OPT_OUT_TRACKING", "true");
    return builder.start();
  }

  private static ReverieException failed(Task task, String how, Path log) throws IOException {
    List<String> lines = Files.readAllLines(log);
    List<String> telling = lines.stream().filter(l -> !l.startsWith("\tat ")).toList();
    return new ReverieException(
        String.format(
            Locale.ROOT,
            "bench: the process for %s %s\n%s",
            task,
            how,
            String.join(
                "\n", telling.subList(Math.max(0, telling.size() - TAIL), telling.size()))));
  }
}
