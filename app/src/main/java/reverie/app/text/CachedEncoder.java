// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Locale;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.zip.CRC32C;

/**
 * Remembers what an encoder said, the last in memory and all in a folder, so that a later start
 * need not load the encoder at all. One file a prompt, named by a hash of the encoder's identity
 * and the prompt, written beside and moved into place, so that several processes may share a folder
 * and a kill leaves nothing half-written. A damaged file is computed again with a warning; a folder
 * that cannot be written costs only time. Safe for several threads.
 */
public final class CachedEncoder implements PromptEncoder {
  private static final Logger LOG = Logger.getLogger(CachedEncoder.class.getName());

  private final PromptEncoder encoder;
  private final Path folder;
  private final RecentStates memory = new RecentStates(this::readOrCompute);
  private volatile boolean writable = true;

  /**
   * Puts a cache before an encoder.
   *
   * @param encoder asked only for what the cache lacks
   * @param folder made when first needed; may be shared by encoders
   */
  public CachedEncoder(PromptEncoder encoder, Path folder) {
    this.encoder = encoder;
    this.folder = folder;
  }

  /**
   * MiniLM with the cache of this user, {@code $XDG_CACHE_HOME/reverie/prompts} or {@code
   * ~/.cache/reverie/prompts}.
   *
   * @return the encoder of the models that Reverie trains
   */
  public static CachedEncoder miniLm() {
    String base = System.getenv("XDG_CACHE_HOME");
    Path cache =
        base == null || base.isEmpty()
            ? Path.of(System.getProperty("user.home"), ".cache")
            : Path.of(base);
    return new CachedEncoder(new MiniLm(), cache.resolve("reverie").resolve("prompts"));
  }

  @Override
  public String identity() {
    return encoder.identity();
  }

  @Override
  public int tokens() {
    return encoder.tokens();
  }

  @Override
  public int dimensions() {
    return encoder.dimensions();
  }

  @Override
  public float[] encode(String prompt) {
    return memory.of(prompt).clone();
  }

  private float[] readOrCompute(String prompt) {
    Path file = file(prompt);
    try {
      return unpack(Files.readAllBytes(file));
    } catch (NoSuchFileException e) {
      // The ordinary case at the first start.
    } catch (IOException e) {
      LOG.log(
          Level.WARNING,
          "Cached prompt states in {0} are damaged ({1}); computing them again.",
          new Object[] {file, e.getMessage()});
    }
    float[] states = encoder.encode(prompt);
    if (writable) {
      write(file, pack(states));
    }
    return states;
  }

  private Path file(String prompt) {
    String key = identity() + "\n" + prompt;
    return folder.resolve(MiniLm.sha256(key.getBytes(StandardCharsets.UTF_8)) + ".states");
  }

  private void write(Path file, byte[] bytes) {
    try {
      Files.createDirectories(folder);
      Path part = Files.createTempFile(folder, "new", ".part");
      try {
        Files.write(part, bytes);
        Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } finally {
        Files.deleteIfExists(part);
      }
    } catch (IOException e) {
      writable = false;
      LOG.log(
          Level.WARNING,
          "Cannot cache prompt states in {0} ({1}); going on without.",
          new Object[] {folder, e});
    }
  }

  private static byte[] pack(float[] states) {
    ByteBuffer buffer = ByteBuffer.allocate(Float.BYTES * states.length + Long.BYTES);
    buffer.asFloatBuffer().put(states);
    int length = Float.BYTES * states.length;
    return buffer.putLong(length, checksum(buffer.array(), length)).array();
  }

  private float[] unpack(byte[] bytes) throws IOException {
    float[] states = new float[tokens() * dimensions()];
    int length = Float.BYTES * states.length;
    if (bytes.length != length + Long.BYTES) {
      throw new IOException(
          String.format(Locale.ROOT, "%d bytes instead of %d", bytes.length, length + Long.BYTES));
    }
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    if (buffer.getLong(length) != checksum(bytes, length)) {
      throw new IOException("its checksum is wrong");
    }
    buffer.asFloatBuffer().get(states);
    return states;
  }

  private static long checksum(byte[] bytes, int length) {
    CRC32C checksum = new CRC32C();
    checksum.update(bytes, 0, length);
    return checksum.getValue();
  }
}
