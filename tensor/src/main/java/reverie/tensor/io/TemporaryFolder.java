// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A new folder that only this user can enter, and that does not stay: it goes when it is closed or
 * the process ends, and if the process is killed, the next one that makes such a folder removes it.
 */
public final class TemporaryFolder implements AutoCloseable {
  private static final Set<Path> OPEN = ConcurrentHashMap.newKeySet();

  /** Processes are told apart by number within one namespace, and containers may share a folder. */
  private static final String NAMESPACE = namespace();

  static {
    Runtime.getRuntime()
        .addShutdownHook(new Thread(() -> OPEN.forEach(TemporaryFolder::delete), "folders"));
  }

  private final Path path;

  private TemporaryFolder(Path path) {
    this.path = path;
    OPEN.add(path);
  }

  /**
   * Makes one where the system keeps temporary files.
   *
   * @param name what it begins with
   */
  public static TemporaryFolder create(String name) throws IOException {
    return in(Path.of(System.getProperty("java.io.tmpdir")), name);
  }

  /**
   * Makes one in a folder.
   *
   * @param name what it begins with
   */
  public static TemporaryFolder in(Path parent, String name) throws IOException {
    removeOrphans(parent, name);
    String mine = name + "-" + NAMESPACE + "-" + ProcessHandle.current().pid() + "-";
    return new TemporaryFolder(Files.createTempDirectory(parent, mine));
  }

  /**
   * Where libraries can be copied to be loaded, the usual place first: a temporary folder may be
   * full or forbid execution.
   */
  public static List<Path> parentsForLibraries() {
    List<Path> parents = new ArrayList<>();
    parents.add(Path.of(System.getProperty("java.io.tmpdir")));
    for (String name : List.of("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "HOME")) {
      String folder = System.getenv(name);
      if (folder != null && !folder.isBlank()) {
        parents.add(Path.of(folder));
      }
    }
    return parents;
  }

  /** The folder. */
  public Path path() {
    return path;
  }

  /** Removes it with all that is in it; what cannot be removed does no harm. */
  @Override
  public void close() {
    delete(path);
    OPEN.remove(path);
  }

  private static void removeOrphans(Path parent, String name) {
    Pattern pattern = Pattern.compile(Pattern.quote(name + "-" + NAMESPACE) + "-(\\d{1,18})-\\d+");
    try (DirectoryStream<Path> found = Files.newDirectoryStream(parent, name + "-*")) {
      for (Path folder : found) {
        Matcher m = pattern.matcher(folder.getFileName().toString());
        if (m.matches() && ProcessHandle.of(Long.parseLong(m.group(1))).isEmpty()) {
          delete(folder);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      // Whoever cannot look there is told so when the new folder is made.
    }
  }

  private static void delete(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException | UncheckedIOException e) {
      // It is gone, or somebody else's.
    }
  }

  private static String namespace() {
    try {
      return Files.readSymbolicLink(Path.of("/proc/self/ns/pid")).toString().replaceAll("\\D", "");
    } catch (IOException | UnsupportedOperationException e) {
      return "0";
    }
  }
}
