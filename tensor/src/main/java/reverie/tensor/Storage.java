// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import reverie.tensor.spi.Backend;
import reverie.tensor.spi.Buffer;

/** A backend's buffer with its lifetime: it belongs to one scope at a time and dies with it. */
final class Storage {
  private final Backend backend;
  private final Buffer buffer;
  private String end;
  Scope owner;

  Storage(Backend backend, Buffer buffer) {
    this.backend = backend;
    this.buffer = buffer;
  }

  /** The buffer, or an error that names the scope and the line that ended it. */
  Buffer live(Object user) {
    if (end != null) {
      throw new ReverieException(
          "tensor: " + user + " was used after its scope " + end,
          "keep what must outlive a scope: scope.keep(tensor)");
    }
    return buffer;
  }

  boolean isLive() {
    return end == null;
  }

  void end(String how) {
    if (end == null) {
      end = how;
      backend.release(buffer);
    }
  }
}
