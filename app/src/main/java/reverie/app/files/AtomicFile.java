// SPDX-License-Identifier: Apache-2.0
package reverie.app.files;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.regex.Pattern;
import reverie.tensor.ReverieException;

/**
 * Writes a whole file or nothing.
 *
 * <p>The content goes to a temporary neighbour, is forced to the disk and then renamed over the
 * target. A reader sees the old file or the new one, never a part, whatever moment the process or
 * the machine dies at. A failure (full disk, no permission) names the file, and the old file stays
 * as it was. A device, such as {@code /dev/null}, is written to directly.
 */
public final class AtomicFile {

  private static final Pattern TEMPORARY = Pattern.compile("\\..+\\.\\d+\\.reverie-tmp");

  /** Writes the content of a file. */
  @FunctionalInterface
  public interface Content {
    /**
     * Writes everything to the stream, which the caller closes.
     *
     * @param out where to write
     * @throws IOException when the stream refuses
     */
    void writeTo(OutputStream out) throws IOException;
  }

  private AtomicFile() {}

  /**
   * Replaces a file by bytes.
   *
   * @param target the file; its folder exists
   * @param bytes its new content
   */
  public static void write(Path target, byte[] bytes) {
    write(target, out -> out.write(bytes));
  }

  /**
   * Replaces a file by UTF-8 text.
   *
   * @param target the file; its folder exists
   * @param text its new content
   */
  public static void writeText(Path target, String text) {
    write(target, text.getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Replaces a file by what {@code content} writes.
   *
   * @param target the file; its folder exists
   * @param content writes the new content
   * @throws ReverieException naming the file, when it cannot be written
   */
  public static void write(Path target, Content content) {
    if (isDevice(target)) {
      try (OutputStream out = Files.newOutputStream(target)) {
        content.writeTo(out);
        return;
      } catch (IOException e) {
        throw failure(target, e);
      }
    }
    Path absolute = target.toAbsolutePath();
    Path temporary =
        absolute.resolveSibling(
            "." + absolute.getFileName() + "." + ProcessHandle.current().pid() + ".reverie-tmp");
    try {
      // One that a killed process with this number left; a link in its place is not followed.
      Files.deleteIfExists(temporary);
      try (FileChannel channel =
          FileChannel.open(
              temporary,
              StandardOpenOption.CREATE_NEW,
              StandardOpenOption.WRITE,
              LinkOption.NOFOLLOW_LINKS)) {
        OutputStream out = new BufferedOutputStream(Channels.newOutputStream(channel), 1 << 16);
        content.writeTo(out);
        out.flush();
        channel.force(true);
      }
      Files.move(
          temporary, absolute, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      forceFolder(absolute.getParent());
    } catch (IOException e) {
      throw failure(target, e);
    } finally {
      deleteQuietly(temporary);
    }
  }

  /**
   * Makes the folder of a file that is written after long work, or fails before that work.
   *
   * @param target the file, or null for none
   * @throws ReverieException naming the file, when it could not be written
   */
  public static void prepare(Path target) {
    if (target == null || isDevice(target)) {
      return;
    }
    try {
      if (Files.isDirectory(target)) {
        throw new FileSystemException(target.toString(), null, "this is a folder");
      }
      Path folder = target.toAbsolutePath().getParent();
      Files.createDirectories(folder);
      if (!Files.isWritable(folder)) {
        throw new AccessDeniedException(folder.toString());
      }
    } catch (IOException e) {
      throw failure(target, e);
    }
  }

  /** Whether it is a device or a pipe, in whose place a rename would put a file. */
  private static boolean isDevice(Path target) {
    return Files.exists(target) && !Files.isRegularFile(target) && !Files.isDirectory(target);
  }

  /** Whether a killed process may have left this file, which may then be deleted. */
  public static boolean isTemporary(Path file) {
    return TEMPORARY.matcher(file.getFileName().toString()).matches();
  }

  /**
   * The error for a file or folder that could not be written.
   *
   * @param target the file or folder
   * @param cause what the system said
   * @return the error to throw
   */
  public static ReverieException failure(Path target, IOException cause) {
    return new ReverieException("write " + target + ": " + reason(cause), hint(cause), cause);
  }

  /**
   * The error for a file that could not be read.
   *
   * @param file the file
   * @param cause what the system said
   * @return the error to throw
   */
  public static ReverieException readFailure(Path file, IOException cause) {
    return new ReverieException(
        "read " + file + ": " + reason(cause),
        "check that it exists and that you may read it",
        cause);
  }

  /** What the system said, without the path that its message begins with. */
  public static String reason(IOException cause) {
    if (cause instanceof AccessDeniedException) {
      return "permission denied";
    }
    if (cause instanceof CharacterCodingException) {
      return "this is no UTF-8 text";
    }
    if (cause instanceof NoSuchFileException) {
      return "no such file or folder";
    }
    if (cause instanceof FileAlreadyExistsException) {
      return "there is something else of this name, or a link that leads nowhere";
    }
    if (cause instanceof FileSystemException system && system.getReason() != null) {
      return system.getReason();
    }
    return cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
  }

  private static String hint(IOException cause) {
    String reason = reason(cause);
    if (reason.contains("No space left") || reason.contains("quota")) {
      return "free some space on that disk, then go on with --resume; what was written before is intact";
    }
    return "check that the folder exists and that you may write there, or choose another";
  }

  /** The rename itself must survive a power cut, which on Linux takes a force of the folder. */
  private static void forceFolder(Path folder) {
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    } catch (IOException e) {
      // Some file systems cannot do this; the content itself is already safe.
    }
  }

  private static void deleteQuietly(Path temporary) {
    try {
      Files.deleteIfExists(temporary);
    } catch (IOException e) {
      // The error that matters is already on its way; a left-over is removed at the next resume.
    }
  }
}
