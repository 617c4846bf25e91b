// SPDX-License-Identifier: Apache-2.0
package reverie.app.files;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;

/** A file of {@link WatchedFiles} that is open. */
final class WatchedChannel extends FileChannel {
  private final WatchedFiles files;
  private final Path path;
  private final FileChannel channel;

  WatchedChannel(WatchedFiles files, Path path, FileChannel channel) {
    this.files = files;
    this.path = path;
    this.channel = channel;
  }

  private void write(ByteBuffer bytes, boolean placed, long place) throws IOException {
    boolean alive = files.isAlive();
    try {
      files.before("write", path);
    } catch (WatchedFiles.Killed killed) {
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
    files.before("truncate", path);
    channel.truncate(size);
    return this;
  }

  @Override
  public void force(boolean metadata) throws IOException {
    files.before("force", path);
    channel.force(metadata);
  }

  @Override
  public long transferTo(long place, long count, WritableByteChannel to) throws IOException {
    return channel.transferTo(place, count, to);
  }

  @Override
  public long transferFrom(ReadableByteChannel from, long place, long count) throws IOException {
    files.before("write", path);
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
