// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Where NVIDIA's libraries are looked for: what the environment names, the folders of CUDA's
 * toolkit and of the system, and those of Python's packages, first of the Python on the path.
 */
public final class CudaLibraries {
  /** Links to Python that are followed, as many as the system follows. */
  private static final int MAX_LINKS = 40;

  private CudaLibraries() {}

  /** The usual folders of this machine. */
  public static List<Path> folders() {
    return folders(System.getenv(), Path.of("/"), Path.of(System.getProperty("user.home")));
  }

  /**
   * The folders in the order in which they are searched, those alone that are there.
   *
   * @param environment its variables
   * @param root of the file system
   * @param home of the user
   */
  static List<Path> folders(Map<String, String> environment, Path root, Path home) {
    Set<Path> folders = new LinkedHashSet<>();
    named(environment, "LD_LIBRARY_PATH").forEach(folders::add);
    List<Path> toolkits = new ArrayList<>(named(environment, "CUDA_HOME"));
    toolkits.addAll(named(environment, "CUDA_PATH"));
    toolkits.add(root.resolve("usr/local/cuda"));
    toolkits.addAll(matches(root.resolve("usr/local"), "cuda-*"));
    for (Path toolkit : toolkits) {
      folders.add(toolkit.resolve("lib64"));
      folders.add(toolkit.resolve("targets/x86_64-linux/lib"));
    }
    for (String folder :
        List.of(
            "usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/local/nvidia/lib64", "usr/lib/wsl/lib")) {
      folders.add(root.resolve(folder));
    }
    matches(root.resolve("etc/ld.so.conf.d"), "*.conf")
        .forEach(file -> folders.addAll(listed(file, root)));
    List<Path> pythons = new ArrayList<>(named(environment, "VIRTUAL_ENV"));
    pythons.addAll(named(environment, "CONDA_PREFIX"));
    python(environment).ifPresent(pythons::add);
    pythons.addAll(
        List.of(
            home.resolve(".local"),
            root.resolve("usr/local"),
            root.resolve("usr"),
            root.resolve("opt/conda")));
    pythons.forEach(prefix -> folders.addAll(packaged(prefix)));
    return folders.stream().filter(Files::isDirectory).toList();
  }

  private static List<Path> named(Map<String, String> environment, String variable) {
    return Stream.of(environment.getOrDefault(variable, "").split(":"))
        .filter(name -> !name.isBlank())
        .map(name -> Path.of(name).toAbsolutePath())
        .toList();
  }

  /**
   * The prefix of the first {@code python3} on the path: the virtual environment to which its links
   * lead, if any does, else where they end.
   */
  private static Optional<Path> python(Map<String, String> environment) {
    for (Path folder : named(environment, "PATH")) {
      Path python = folder.resolve("python3");
      if (!Files.isExecutable(python)) {
        continue;
      }
      try {
        for (int links = 0; links < MAX_LINKS && Files.isSymbolicLink(python); links++) {
          if (Files.exists(prefix(python).resolve("pyvenv.cfg"))) {
            break;
          }
          python = python.resolveSibling(Files.readSymbolicLink(python)).normalize();
        }
        return Optional.of(prefix(python));
      } catch (IOException e) {
        return Optional.empty();
      }
    }
    return Optional.empty();
  }

  /** Of {@code prefix/bin/python3}. */
  private static Path prefix(Path python) {
    Path bin = python.toAbsolutePath().getParent();
    return bin.getParent() == null ? bin : bin.getParent();
  }

  /** Where pip puts NVIDIA's packages below a prefix. */
  private static List<Path> packaged(Path prefix) {
    List<Path> folders = new ArrayList<>();
    for (Path python : matches(prefix.resolve("lib"), "python3*")) {
      for (Path packages : matches(python, "{site,dist}-packages")) {
        matches(packages.resolve("nvidia"), "*").forEach(one -> folders.add(one.resolve("lib")));
      }
    }
    return folders;
  }

  /** The folders that a file of the dynamic linker's lists, one a line. */
  private static List<Path> listed(Path file, Path root) {
    try {
      return Files.readAllLines(file).stream()
          .map(String::strip)
          .filter(line -> line.startsWith("/"))
          .map(line -> root.resolve(line.substring(1)))
          .toList();
    } catch (IOException e) {
      return List.of();
    }
  }

  /** What a folder holds, the newest version first; nothing if it cannot be read. */
  static List<Path> matches(Path folder, String pattern) {
    List<Path> found = new ArrayList<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, pattern)) {
      entries.forEach(found::add);
    } catch (IOException | DirectoryIteratorException e) {
      return List.of();
    }
    found.sort(Comparator.<Path>naturalOrder().reversed());
    return found;
  }
}
