// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The tiny pipelines among the resources, and copies of them to spoil. */
public final class Samples {
  private Samples() {}

  /** A resource beside this class. */
  public static Path path(String name) {
    try {
      return Path.of(Samples.class.getResource("/reverie/pipeline/" + name).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  /** A copy of a folder. */
  public static Path copy(String name, Path target) throws IOException {
    Path source = path(name);
    List<Path> all;
    try (Stream<Path> walk = Files.walk(source)) {
      all = walk.toList();
    }
    for (Path from : all) {
      Path to = target.resolve(source.relativize(from).toString());
      if (Files.isDirectory(from)) {
        Files.createDirectories(to);
      } else {
        Files.copy(from, to);
      }
    }
    return target;
  }

  /** Replaces text in a file. */
  public static void edit(Path file, String from, String to) throws IOException {
    String text = Files.readString(file);
    if (!text.contains(from)) {
      throw new IllegalStateException(file + " has no " + from);
    }
    Files.writeString(file, text.replace(from, to));
  }
}
