// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** A new folder that only this user can enter, for packed libraries while they are loaded. */
final class PrivateFolder implements AutoCloseable {
  private final Path path;

  PrivateFolder() throws IOException {
    path = Files.createTempDirectory("reverie-cuda");
  }

  Path path() {
    return path;
  }

  /** Copies a resource here. */
  Path extract(String resource, String name) throws IOException {
    Path file = path.resolve(name);
    try (InputStream in = PrivateFolder.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new FileNotFoundException("resource " + resource + " is missing");
      }
      Files.copy(in, file);
    }
    return file;
  }

  /** Libraries that are loaded stay so without their files. */
  @Override
  public void close() throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(path)) {
      for (Path file : files) {
        Files.delete(file);
      }
    }
    Files.delete(path);
  }
}
