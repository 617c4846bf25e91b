// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import reverie.tensor.spi.Backend;
import reverie.tensor.spi.Buffer;

/** A backend's buffer with its lifetime: it belongs to one scope at a time and dies with it. */
final class Storage {
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
  static Storage allocated(Backend backend, long bytes) {
    return new Storage(backend, null, backend.allocate(bytes), bytes);
  }

  /** Memory that is only spoken of, while a step is captured. */
  static Storage meta(long bytes) {
    return new Storage(null, null, null, bytes);
  }

  /** A part of other memory, which it does not outlive. */
  static Storage part(Storage whole, Buffer buffer) {
    return new Storage(null, whole, buffer, buffer.bytes());
  }

  /** The buffer, or an error that names the scope and the line that ended it. */
  Buffer live(Object user) {
    check(user);
    if (buffer == null) {
      throw new ReverieException(
          "tensor: " + user + " has no values: it was made while a step was captured",
          "let the captured step return it, and read it from outputs() after run()");
    }
    return buffer;
  }

  /** The same error. */
  void check(Object user) {
    if (end != null) {
      throw new ReverieException(
          "tensor: " + user + " was used after its scope " + end,
          "keep what must outlive a scope: scope.keep(tensor)");
    }
    if (whole != null) {
      whole.check(user);
    }
  }

  boolean isMeta() {
    return buffer == null;
  }

  boolean isLive() {
    return end == null && (whole == null || whole.isLive());
  }

  long bytes() {
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
