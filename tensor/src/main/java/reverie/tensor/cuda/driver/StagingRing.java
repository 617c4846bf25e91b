// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;

/**
 * Buffers of the host through which data goes to a device. A copy to the device reads its source
 * later than the call that asks for it; so the source is copied here first, and a buffer is used
 * again only when the device has passed the mark behind its last copy.
 */
final class StagingRing implements AutoCloseable {
  /** The device's stream. */
  interface Stream {
    /** Copies a buffer to the device, later. */
    void copy(MemorySegment buffer, long target);

    /** Marks this moment of the stream for a buffer. */
    void mark(int buffer);

    /** Waits until the stream has passed the last mark for a buffer. */
    void await(int buffer);
  }

  static final int BUFFERS = 4;

  private final Arena arena = Arena.ofShared();
  private final MemorySegment[] buffers = new MemorySegment[BUFFERS];
  private final boolean[] marked = new boolean[BUFFERS];
  private final Stream stream;
  private int next;

  /**
   * Buffers of so many bytes.
   *
   * @param pin makes the device read a buffer directly, if it can
   */
  StagingRing(long bytes, Stream stream, Consumer<MemorySegment> pin) {
    this.stream = stream;
    for (int i = 0; i < BUFFERS; i++) {
      buffers[i] = arena.allocate(bytes, 4096);
      pin.accept(buffers[i]);
    }
  }

  /** Copies to the device; the source may be changed as soon as this returns. */
  void upload(MemorySegment source, long target) {
    long size = buffers[0].byteSize();
    for (long at = 0; at < source.byteSize(); at += size) {
      long bytes = Math.min(size, source.byteSize() - at);
      int own = next;
      next = (next + 1) % BUFFERS;
      if (marked[own]) {
        stream.await(own);
      }
      MemorySegment buffer = buffers[own].asSlice(0, bytes);
      buffer.copyFrom(source.asSlice(at, bytes));
      stream.copy(buffer, target + at);
      stream.mark(own);
      marked[own] = true;
    }
  }

  MemorySegment[] buffers() {
    return buffers.clone();
  }

  /** Frees the buffers, after all work is done. */
  @Override
  public void close() {
    arena.close();
  }
}
