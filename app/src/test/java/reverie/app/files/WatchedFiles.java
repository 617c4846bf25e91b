// SPDX-License-Identifier: Apache-2.0
package reverie.app.files;

import java.io.IOException;
import java.net.URI;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.AccessMode;
import java.nio.file.CopyOption;
import java.nio.file.DirectoryStream;
import java.nio.file.FileStore;
import java.nio.file.FileSystem;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileAttributeView;
import java.nio.file.spi.FileSystemProvider;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The files of this machine, with somebody told before anything in them changes, who may end the
 * process at that point: a write that it dies in leaves half of its bytes, and nothing that comes
 * later, such as clearing up, happens any more.
 */
public final class WatchedFiles extends FileSystemProvider {
  /** Told of every operation that changes something. */
  public interface Watcher {
    /**
     * Called before it happens.
     *
     * @param operation such as "write"
     * @param name of the file
     * @throws Killed to die there
     */
    void before(String operation, String name);
  }

  /** The end of a process. */
  public static final class Killed extends Error {
    private static final long serialVersionUID = 1L;

    /** At an operation. */
    public Killed(String at) {
      super("killed before " + at);
    }
  }

  private final Watcher watcher;
  private final FileSystem system = new WatchedSystem(this);
  private final List<FileChannel> open = new ArrayList<>();
  private Killed dead;

  /** With somebody to watch. */
  public WatchedFiles(Watcher watcher) {
    this.watcher = watcher;
  }

  /** The same file, watched. */
  public Path of(Path path) {
    return new WatchedPath(this, path);
  }

  /** What the system does at the end of a process. */
  public void closeAll() throws IOException {
    for (FileChannel channel : open) {
      channel.close();
    }
  }

  boolean isAlive() {
    return dead == null;
  }

  FileSystem system() {
    return system;
  }

  void before(String operation, Path path) {
    if (dead != null) {
      throw dead;
    }
    try {
      watcher.before(operation, String.valueOf(real(path).getFileName()));
    } catch (Killed killed) {
      dead = killed;
      throw killed;
    }
  }

  static Path real(Path path) {
    return path instanceof WatchedPath watched ? watched.real() : path;
  }

  private static FileSystemProvider system(Path path) {
    return real(path).getFileSystem().provider();
  }

  @Override
  public FileChannel newFileChannel(
      Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
      throws IOException {
    if (options.contains(StandardOpenOption.WRITE) || options.contains(StandardOpenOption.APPEND)) {
      before("open", path);
    }
    FileChannel channel = system(path).newFileChannel(real(path), options, attributes);
    open.add(channel);
    return new WatchedChannel(this, path, channel);
  }

  @Override
  public SeekableByteChannel newByteChannel(
      Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
      throws IOException {
    return newFileChannel(path, options, attributes);
  }

  @Override
  public void createDirectory(Path folder, FileAttribute<?>... attributes) throws IOException {
    before("create", folder);
    system(folder).createDirectory(real(folder), attributes);
  }

  @Override
  public void delete(Path path) throws IOException {
    before("delete", path);
    system(path).delete(real(path));
  }

  @Override
  public boolean deleteIfExists(Path path) throws IOException {
    before("delete", path);
    return system(path).deleteIfExists(real(path));
  }

  @Override
  public void copy(Path from, Path to, CopyOption... options) throws IOException {
    before("copy", to);
    system(from).copy(real(from), real(to), options);
  }

  @Override
  public void move(Path from, Path to, CopyOption... options) throws IOException {
    before("move", to);
    system(from).move(real(from), real(to), options);
  }

  @Override
  public DirectoryStream<Path> newDirectoryStream(
      Path folder, DirectoryStream.Filter<? super Path> filter) throws IOException {
    DirectoryStream<Path> stream =
        system(folder).newDirectoryStream(real(folder), path -> filter.accept(of(path)));
    return new DirectoryStream<>() {
      @Override
      public Iterator<Path> iterator() {
        Iterator<Path> paths = stream.iterator();
        return new Iterator<>() {
          @Override
          public boolean hasNext() {
            return paths.hasNext();
          }

          @Override
          public Path next() {
            return of(paths.next());
          }
        };
      }

      @Override
      public void close() throws IOException {
        stream.close();
      }
    };
  }

  @Override
  public String getScheme() {
    return "watched";
  }

  @Override
  public FileSystem newFileSystem(URI uri, Map<String, ?> environment) {
    return system;
  }

  @Override
  public FileSystem getFileSystem(URI uri) {
    return system;
  }

  @Override
  public Path getPath(URI uri) {
    return of(Path.of(uri));
  }

  @Override
  public boolean isSameFile(Path a, Path b) throws IOException {
    return system(a).isSameFile(real(a), real(b));
  }

  @Override
  public boolean isHidden(Path path) throws IOException {
    return system(path).isHidden(real(path));
  }

  @Override
  public FileStore getFileStore(Path path) throws IOException {
    return system(path).getFileStore(real(path));
  }

  @Override
  public void checkAccess(Path path, AccessMode... modes) throws IOException {
    system(path).checkAccess(real(path), modes);
  }

  @Override
  public <V extends FileAttributeView> V getFileAttributeView(
      Path path, Class<V> type, LinkOption... options) {
    return system(path).getFileAttributeView(real(path), type, options);
  }

  @Override
  public <A extends BasicFileAttributes> A readAttributes(
      Path path, Class<A> type, LinkOption... options) throws IOException {
    return system(path).readAttributes(real(path), type, options);
  }

  @Override
  public Map<String, Object> readAttributes(Path path, String names, LinkOption... options)
      throws IOException {
    return system(path).readAttributes(real(path), names, options);
  }

  @Override
  public void setAttribute(Path path, String name, Object value, LinkOption... options)
      throws IOException {
    before("set", path);
    system(path).setAttribute(real(path), name, value, options);
  }
}
