// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import reverie.tensor.spi.Backend;
import reverie.tensor.spi.Buffer;

/**
 * A backend's buffer with its lifetime: it belongs to one scope at a time and dies with it. Meta
 * storage has a size and no buffer: there is none while a step is being captured.
 */
public final class Storage {
  /** Who gets the buffer back; null if it is a part of other memory, or of none. */
  private final Backend backend;

  private final Storage whole;
  private final Buffer buffer;
  private final long bytes;
  private String end;
  Scope owner;

  private Storage(Backend backend, Storage whole, Buffer buffer, long bytes) {
    this.backend = backend;
    this.whole = whole;
    this.buffer = buffer;
    this.bytes = bytes;
  }

  /** Memory of its own. */
  public static Storage allocated(Backend backend, long bytes) {
    return new Storage(backend, null, backend.allocate(bytes), bytes);
  }

  /** A size without memory. */
  public static Storage meta(long bytes) {
    return new Storage(null, null, null, bytes);
  }

  /** A part of other memory, which it does not outlive. */
  public static Storage part(Storage whole, Buffer buffer) {
    return new Storage(null, whole, buffer, buffer.bytes());
  }

  /**
   * The buffer.
   *
   * @param user what asks, for the error
   * @throws ReverieException after the scope has closed, with its name and line, or if this is meta
   */
  public Buffer live(Object user) {
    check(user);
    if (buffer == null) {
      throw new ReverieException(
          "tensor: " + user + " has no values: it was made while a step was captured",
          "let the captured step return it, and read it from outputs() after run()");
    }
    return buffer;
  }

  /**
   * Nothing as long as the memory is there.
   *
   * @param user what asks, for the error
   * @throws ReverieException after the scope has closed, with its name and line
   */
  public void check(Object user) {
    if (end != null) {
      throw new ReverieException(
          "tensor: " + user + " was used after its scope " + end,
          "keep what must outlive a scope: scope.keep(tensor)");
    }
    if (whole != null) {
      whole.check(user);
    }
  }

  /** Whether there is no buffer. */
  public boolean isMeta() {
    return buffer == null;
  }

  boolean isLive() {
    return end == null && (whole == null || whole.isLive());
  }

  /** Size in bytes. */
  public long bytes() {
    return bytes;
  }

  void end(String how) {
    if (end == null) {
      end = how;
      if (backend != null) {
        backend.release(buffer);
      }
    }
  }
}
