// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import reverie.tensor.cpu.KernelSet;

/**
 * What a run was computed with, so that its numbers can be traced later.
 *
 * @param reverie this project's version
 * @param revision the git revision of the source, with "+changes" when the work tree differed, or
 *     "unknown"
 * @param java the Java runtime's version and vendor
 * @param os operating system and architecture
 * @param cpu the processor's name
 * @param threads how many processors the JVM may use
 * @param kernels what the processor's kernels are made of
 * @param dependencies library to version, from the class path
 */
public record Environment(
    String reverie,
    String revision,
    String java,
    String os,
    String cpu,
    int threads,
    String kernels,
    Map<String, String> dependencies) {

  /** The version of this project. */
  public static final String VERSION = "0.1.0";

  private static final Pattern JAR =
      Pattern.compile("([A-Za-z0-9_.-]+?)-(\\d[A-Za-z0-9_.-]*)\\.jar");

  /**
   * Looks at this machine and this process.
   *
   * @return what it found
   */
  public static Environment current() {
    return new Environment(
        VERSION,
        sourceRevision(),
        System.getProperty("java.runtime.version") + " " + System.getProperty("java.vendor"),
        System.getProperty("os.name")
            + " "
            + System.getProperty("os.version")
            + " "
            + System.getProperty("os.arch"),
        processor(),
        Runtime.getRuntime().availableProcessors(),
        KernelSet.chosen().label(),
        dependencies(System.getProperty("java.class.path", "")));
  }

  /**
   * As an ordered map, for JSON.
   *
   * @return one entry per component
   */
  public Map<String, Object> toMap() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("reverie", reverie);
    map.put("revision", revision);
    map.put("java", java);
    map.put("os", os);
    map.put("cpu", cpu);
    map.put("threads", threads);
    map.put("kernels", kernels);
    map.put("dependencies", dependencies);
    return map;
  }

  static Map<String, String> dependencies(String classPath) {
    Map<String, String> versions = new TreeMap<>();
    for (String entry : classPath.split(Pattern.quote(File.pathSeparator))) {
      Matcher jar = JAR.matcher(entry.substring(entry.lastIndexOf(File.separatorChar) + 1));
      if (jar.matches()) {
        versions.put(jar.group(1), jar.group(2));
      }
    }
    return versions;
  }

  /** The processor's name on Linux, its architecture elsewhere. */
  private static String processor() {
    Path info = Path.of("/proc/cpuinfo");
    if (Files.isReadable(info)) {
      try (Stream<String> lines = Files.lines(info)) {
        return lines
            .filter(line -> line.startsWith("model name"))
            .map(line -> line.substring(line.indexOf(':') + 1).strip())
            .findFirst()
            .orElse(System.getProperty("os.arch"));
      } catch (IOException e) {
        return System.getProperty("os.arch");
      }
    }
    return System.getProperty("os.arch");
  }

  /** The revision of the sources: what the package says, or git where this is a checkout. */
  private static String sourceRevision() {
    String packed = System.getProperty("reverie.revision");
    return packed != null ? packed : gitRevision();
  }

  private static String gitRevision() {
    Path here;
    try {
      here = Path.of(Environment.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (URISyntaxException | NullPointerException e) {
      return "unknown";
    }
    Path folder = Files.isDirectory(here) ? here : here.getParent();
    String revision = git(folder, "rev-parse", "HEAD");
    if (revision.isEmpty()) {
      return "unknown";
    }
    boolean changed = !git(folder, "status", "--porcelain", "--untracked-files=no").isEmpty();
    return changed ? revision + "+changes" : revision;
  }

  /** What git prints, or nothing when there is no git or no repository. */
  private static String git(Path folder, String... arguments) {
    List<String> command = new ArrayList<>(List.of("git", "-C", folder.toString()));
    command.addAll(List.of(arguments));
    try {
      Process process =
          new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
      process.getOutputStream().close();
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      boolean ended = process.waitFor(5, TimeUnit.SECONDS);
      return ended && process.exitValue() == 0 ? output.strip() : "";
    } catch (IOException e) {
      return "";
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "";
    }
  }
}
