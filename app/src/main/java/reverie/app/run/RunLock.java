// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Locale;
import reverie.app.files.AtomicFile;
import reverie.tensor.ReverieException;

/** That this process alone writes to a run's folder; the system ends it when the process dies. */
final class RunLock implements AutoCloseable {
  /** Its file in the folder. */
  static final String FILE = ".lock";

  private final Path file;
  private final FileChannel channel;

  private RunLock(Path file, FileChannel channel) {
    this.file = file;
    this.channel = channel;
  }

  /**
   * Locks a folder.
   *
   * @param folder of a run
   * @throws ReverieException if another process writes to it, saying which
   */
  static RunLock take(Path folder) {
    Path file = folder.resolve(FILE);
    FileChannel channel = null;
    try {
      channel =
          FileChannel.open(
              file,
              StandardOpenOption.CREATE,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE,
              LinkOption.NOFOLLOW_LINKS);
      if (!isFree(channel)) {
        ByteBuffer owner = ByteBuffer.allocate(64);
        channel.read(owner);
        channel.close();
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "run folder %s: another process (%s) is writing to it",
                folder,
                new String(owner.array(), 0, owner.position(), StandardCharsets.UTF_8)),
            "wait until it has ended, or choose another folder with --out");
      }
      channel.truncate(0);
      channel.write(StandardCharsets.UTF_8.encode("pid " + ProcessHandle.current().pid()));
      return new RunLock(file, channel);
    } catch (IOException e) {
      closeQuietly(channel);
      throw AtomicFile.failure(file, e);
    }
  }

  private static boolean isFree(FileChannel channel) throws IOException {
    try {
      return channel.tryLock() != null;
    } catch (OverlappingFileLockException e) {
      return false;
    }
  }

  private static void closeQuietly(FileChannel channel) {
    try {
      if (channel != null) {
        channel.close();
      }
    } catch (IOException e) {
      // The first error is the one to report.
    }
  }

  /** Lets others write. */
  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw AtomicFile.failure(file, e);
    }
  }
}
