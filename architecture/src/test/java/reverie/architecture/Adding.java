// SPDX-License-Identifier: Apache-2.0
package reverie.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

/**
 * Something added to a copy of the sources, to see what the compiler asks for. Paths are those of
 * the checkout.
 */
final class Adding {
  private final List<String> modules;
  private final Map<String, String> changed = new LinkedHashMap<>();

  /** Files are those that were written or changed by hand and those in which the compiler asks. */
  record Places(Set<String> written, Map<String, Set<String>> asked) {
    /** All of them. */
    Set<String> all() {
      Set<String> all = new TreeSet<>(written);
      all.addAll(asked.keySet());
      return all;
    }

    /** Checks that a page lists exactly these files, in a table whose rows begin with a path. */
    void checkAgainst(String page) {
      String text = Project.read(Project.ROOT.resolve(page));
      Matcher rows = Pattern.compile("(?m)^\\| (?:\\d+ \\| )?`([^`]+\\.java)`").matcher(text);
      Set<String> listed = new TreeSet<>();
      while (rows.find()) {
        listed.add(rows.group(1));
      }
      Set<String> found =
          all().stream()
              .map(path -> path.replaceFirst("src/main/java/reverie/\\w+/", "…/"))
              .collect(Collectors.toCollection(TreeSet::new));
      assertEquals(
          String.join("\n", found), String.join("\n", listed), page + " lists other files");
    }

    @Override
    public String toString() {
      StringBuilder text = new StringBuilder();
      written.forEach(file -> text.append(file).append(": written\n"));
      asked.forEach((file, what) -> text.append(file).append(": ").append(what).append('\n'));
      return text.toString();
    }
  }

  /** A copy of the main sources of these modules; of none to build changes alone. */
  Adding(String... modules) {
    this.modules = List.of(modules);
  }

  /** Writes a new file. */
  Adding write(String path, String text) {
    assertTrue(Files.notExists(Project.ROOT.resolve(path)), path + " is there already");
    changed.put(path, text);
    return this;
  }

  /** Changes a file; what is replaced must be there. */
  Adding replace(String path, String old, String text) {
    String before = changed.getOrDefault(path, Project.read(Project.ROOT.resolve(path)));
    assertTrue(before.contains(old), path + " should contain " + old);
    changed.put(path, before.replaceFirst(Pattern.quote(old), Matcher.quoteReplacement(text)));
    return this;
  }

  /** Compiles the copy, with the other modules as they are. */
  Places compile() {
    Set<String> paths =
        modules.stream()
            .flatMap(module -> Project.sources(module).stream())
            .filter(file -> !file.endsWith("module-info.java"))
            .map(file -> Project.ROOT.relativize(file).toString())
            .collect(Collectors.toCollection(TreeSet::new));
    paths.addAll(changed.keySet());
    Path classes = temporary();
    Map<String, Set<String>> asked =
        compile(
            paths,
            Project.classPath().stream()
                .filter(entry ->
                    modules.stream().noneMatch(m -> entry.startsWith(Project.ROOT.resolve(m))))
                .toList(),
            classes);
    delete(classes);
    return new Places(new TreeSet<>(changed.keySet()), asked);
  }

  /**
   * Compiles what was written or changed alone, and puts it, with changed resources, in a folder
   * that goes before everything else on a class path.
   */
  void build(Path classes) throws IOException {
    Set<String> sources =
        changed.keySet().stream()
            .filter(path -> path.endsWith(".java"))
            .collect(Collectors.toCollection(TreeSet::new));
    Map<String, Set<String>> asked = compile(sources, Project.classPath(), classes);
    assertTrue(asked.isEmpty(), asked.toString());
    for (var entry : changed.entrySet()) {
      if (!sources.contains(entry.getKey())) {
        Path file = classes.resolve(entry.getKey().replaceFirst(".*/src/main/resources/", ""));
        Files.createDirectories(file.getParent());
        Files.writeString(file, entry.getValue());
      }
    }
  }

  /** What the compiler says of these files, by path. */
  private Map<String, Set<String>> compile(Set<String> paths, List<Path> classPath, Path classes) {
    DiagnosticCollector<JavaFileObject> diagnostics = new DiagnosticCollector<>();
    ToolProvider.getSystemJavaCompiler()
        .getTask(
            null,
            null,
            diagnostics,
            List.of(
                "-proc:none",
                "-nowarn",
                "-Xmaxerrs",
                "1000",
                "-XDshould-stop.ifError=FLOW",
                "--add-modules=jdk.incubator.vector",
                "-cp",
                classPath.stream()
                    .map(Path::toString)
                    .collect(Collectors.joining(File.pathSeparator)),
                "-d",
                classes.toString()),
            null,
            paths.stream().map(path -> source(path, changed.getOrDefault(path, null))).toList())
        .call();
    Map<String, Set<String>> asked = new TreeMap<>();
    for (Diagnostic<? extends JavaFileObject> d : diagnostics.getDiagnostics()) {
      if (d.getKind() == Diagnostic.Kind.ERROR) {
        String path = d.getSource().toUri().getPath().substring(1);
        asked.computeIfAbsent(path, _ -> new TreeSet<>()).add(d.getMessage(null));
      }
    }
    return asked;
  }

  private static JavaFileObject source(String path, String text) {
    return new SimpleJavaFileObject(URI.create("copy:///" + path), JavaFileObject.Kind.SOURCE) {
      @Override
      public CharSequence getCharContent(boolean ignoreEncodingErrors) throws IOException {
        return text != null
            ? text
            : Files.readString(Project.ROOT.resolve(path), StandardCharsets.UTF_8);
      }

      @Override
      public boolean isNameCompatible(String simpleName, Kind kind) {
        return path.endsWith("/" + simpleName + kind.extension);
      }
    };
  }

  private static Path temporary() {
    try {
      return Files.createTempDirectory("adding");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void delete(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted((a, b) -> b.compareTo(a)).toList()) {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
