// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.AccessMode;
import java.nio.file.CopyOption;
import java.nio.file.DirectoryStream;
import java.nio.file.FileStore;
import java.nio.file.FileSystem;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.nio.file.StandardOpenOption;
import java.nio.file.WatchEvent;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileAttributeView;
import java.nio.file.attribute.UserPrincipalLookupService;
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
  private final Files files = new Files();
  private final List<FileChannel> open = new ArrayList<>();
  private Killed dead;

  /** With somebody to watch. */
  public WatchedFiles(Watcher watcher) {
    this.watcher = watcher;
  }

  /** The same file, watched. */
  public Path of(Path path) {
    return new Watched(path);
  }

  /** What the system does at the end of a process. */
  public void closeAll() throws IOException {
    for (FileChannel channel : open) {
      channel.close();
    }
  }

  private void before(String operation, Path path) {
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

  private static Path real(Path path) {
    return path instanceof Watched watched ? watched.path : path;
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
    return new Channel(path, channel);
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
    return files;
  }

  @Override
  public FileSystem getFileSystem(URI uri) {
    return files;
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

  private final class Files extends FileSystem {
    private final FileSystem system = Path.of("").getFileSystem();

    @Override
    public FileSystemProvider provider() {
      return WatchedFiles.this;
    }

    @Override
    public void close() {}

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public boolean isReadOnly() {
      return false;
    }

    @Override
    public String getSeparator() {
      return system.getSeparator();
    }

    @Override
    public Iterable<Path> getRootDirectories() {
      return system.getRootDirectories();
    }

    @Override
    public Iterable<FileStore> getFileStores() {
      return system.getFileStores();
    }

    @Override
    public Set<String> supportedFileAttributeViews() {
      return system.supportedFileAttributeViews();
    }

    @Override
    public Path getPath(String first, String... more) {
      return of(system.getPath(first, more));
    }

    @Override
    public PathMatcher getPathMatcher(String pattern) {
      return system.getPathMatcher(pattern);
    }

    @Override
    public UserPrincipalLookupService getUserPrincipalLookupService() {
      return system.getUserPrincipalLookupService();
    }

    @Override
    public WatchService newWatchService() throws IOException {
      return system.newWatchService();
    }
  }

  private final class Watched implements Path {
    private final Path path;

    Watched(Path path) {
      this.path = path;
    }

    private Path wrapped(Path result) {
      return result == null ? null : new Watched(result);
    }

    @Override
    public FileSystem getFileSystem() {
      return files;
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
      return path.startsWith(real(other));
    }

    @Override
    public boolean endsWith(Path other) {
      return path.endsWith(real(other));
    }

    @Override
    public Path normalize() {
      return wrapped(path.normalize());
    }

    @Override
    public Path resolve(Path other) {
      return wrapped(path.resolve(real(other)));
    }

    @Override
    public Path relativize(Path other) {
      return wrapped(path.relativize(real(other)));
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
      return path.compareTo(real(other));
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Watched watched && path.equals(watched.path);
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

  private final class Channel extends FileChannel {
    private final Path path;
    private final FileChannel channel;

    Channel(Path path, FileChannel channel) {
      this.path = path;
      this.channel = channel;
    }

    private void write(ByteBuffer bytes, boolean placed, long place) throws IOException {
      boolean alive = dead == null;
      try {
        before("write", path);
      } catch (Killed killed) {
        if (alive) {
          ByteBuffer half = bytes.slice(bytes.position(), bytes.remaining() / 2);
          if (placed) {
            channel.write(half, place);
          } else {
            channel.write(half);
          }
        }
        throw killed;
      }
    }

    @Override
    public int read(ByteBuffer bytes) throws IOException {
      return channel.read(bytes);
    }

    @Override
    public long read(ByteBuffer[] all, int offset, int length) throws IOException {
      return channel.read(all, offset, length);
    }

    @Override
    public int read(ByteBuffer bytes, long place) throws IOException {
      return channel.read(bytes, place);
    }

    @Override
    public int write(ByteBuffer bytes) throws IOException {
      write(bytes, false, 0);
      return channel.write(bytes);
    }

    @Override
    public long write(ByteBuffer[] all, int offset, int length) throws IOException {
      long written = 0;
      for (int i = offset; i < offset + length; i++) {
        written += write(all[i]);
      }
      return written;
    }

    @Override
    public int write(ByteBuffer bytes, long place) throws IOException {
      write(bytes, true, place);
      return channel.write(bytes, place);
    }

    @Override
    public long position() throws IOException {
      return channel.position();
    }

    @Override
    public FileChannel position(long place) throws IOException {
      channel.position(place);
      return this;
    }

    @Override
    public long size() throws IOException {
      return channel.size();
    }

    @Override
    public FileChannel truncate(long size) throws IOException {
      before("truncate", path);
      channel.truncate(size);
      return this;
    }

    @Override
    public void force(boolean metadata) throws IOException {
      before("force", path);
      channel.force(metadata);
    }

    @Override
    public long transferTo(long place, long count, WritableByteChannel to) throws IOException {
      return channel.transferTo(place, count, to);
    }

    @Override
    public long transferFrom(ReadableByteChannel from, long place, long count) throws IOException {
      before("write", path);
      return channel.transferFrom(from, place, count);
    }

    @Override
    public MappedByteBuffer map(MapMode mode, long place, long size) throws IOException {
      return channel.map(mode, place, size);
    }

    @Override
    public MemorySegment map(MapMode mode, long place, long size, Arena arena) throws IOException {
      return channel.map(mode, place, size, arena);
    }

    @Override
    public FileLock lock(long place, long size, boolean shared) throws IOException {
      return channel.lock(place, size, shared);
    }

    @Override
    public FileLock tryLock(long place, long size, boolean shared) throws IOException {
      return channel.tryLock(place, size, shared);
    }

    @Override
    protected void implCloseChannel() throws IOException {
      channel.close();
    }
  }
}
