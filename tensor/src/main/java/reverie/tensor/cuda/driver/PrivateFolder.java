// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import reverie.tensor.io.TemporaryFolder;

/** A new folder that only this user can enter, for packed libraries while they are loaded. */
final class PrivateFolder implements AutoCloseable {
  private final TemporaryFolder folder = TemporaryFolder.create("reverie-cuda");

  PrivateFolder() throws IOException {}

  Path path() {
    return folder.path();
  }

  /** Copies a resource here. */
  Path extract(String resource, String name) throws IOException {
    Path file = path().resolve(name);
    try (InputStream in = Packed.open(resource)) {
      Files.copy(in, file);
    }
    return file;
  }

  /** Copies a resource here under its own name. */
  Path extract(String resource) throws IOException {
    return extract(resource, resource.substring(resource.lastIndexOf('/') + 1));
  }

  /** Libraries that are loaded stay so without their files. */
  @Override
  public void close() {
    folder.close();
  }
}
