// SPDX-License-Identifier: Apache-2.0
package reverie.app.files;

import java.io.IOException;
import java.net.URI;
import java.nio.file.FileSystem;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.WatchEvent;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;

/** A path of {@link WatchedFiles}. */
final class WatchedPath implements Path {
  private final WatchedFiles files;
  private final Path path;

  WatchedPath(WatchedFiles files, Path path) {
    this.files = files;
    this.path = path;
  }

  /** Where it is for the machine. */
  Path real() {
    return path;
  }

  private Path wrapped(Path result) {
    return result == null ? null : new WatchedPath(files, result);
  }

  @Override
  public FileSystem getFileSystem() {
    return files.system();
  }

  @Override
  public boolean isAbsolute() {
    return path.isAbsolute();
  }

  @Override
  public Path getRoot() {
    return wrapped(path.getRoot());
  }

  @Override
  public Path getFileName() {
    return wrapped(path.getFileName());
  }

  @Override
  public Path getParent() {
    return wrapped(path.getParent());
  }

  @Override
  public int getNameCount() {
    return path.getNameCount();
  }

  @Override
  public Path getName(int index) {
    return wrapped(path.getName(index));
  }

  @Override
  public Path subpath(int from, int to) {
    return wrapped(path.subpath(from, to));
  }

  @Override
  public boolean startsWith(Path other) {
    return path.startsWith(WatchedFiles.real(other));
  }

  @Override
  public boolean endsWith(Path other) {
    return path.endsWith(WatchedFiles.real(other));
  }

  @Override
  public Path normalize() {
    return wrapped(path.normalize());
  }

  @Override
  public Path resolve(Path other) {
    return wrapped(path.resolve(WatchedFiles.real(other)));
  }

  @Override
  public Path relativize(Path other) {
    return wrapped(path.relativize(WatchedFiles.real(other)));
  }

  @Override
  public URI toUri() {
    return path.toUri();
  }

  @Override
  public Path toAbsolutePath() {
    return wrapped(path.toAbsolutePath());
  }

  @Override
  public Path toRealPath(LinkOption... options) throws IOException {
    return wrapped(path.toRealPath(options));
  }

  @Override
  public WatchKey register(
      WatchService service, WatchEvent.Kind<?>[] events, WatchEvent.Modifier... modifiers)
      throws IOException {
    return path.register(service, events, modifiers);
  }

  @Override
  public int compareTo(Path other) {
    return path.compareTo(WatchedFiles.real(other));
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof WatchedPath watched && path.equals(watched.path);
  }

  @Override
  public int hashCode() {
    return path.hashCode();
  }

  @Override
  public String toString() {
    return path.toString();
  }
}
