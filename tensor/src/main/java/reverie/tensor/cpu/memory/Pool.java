// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.memory;

import java.lang.foreign.Arena;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Collectors;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.spi.Buffer;
import reverie.tensor.spi.OutOfMemory;

/**
 * Memory for tensors, 64-byte aligned, kept for reuse: a training step asks for the same sizes
 * again and again, and fresh pages from the system cost more than the arithmetic on them.
 *
 * <p>Sizes are rounded up to one of four steps in each power of two, so at most a fifth is wasted.
 */
public final class Pool {
  /** Buffers that fill no large page are cut from slabs of this size. */
  private static final long SLAB = 8L << 20;

  private final Arena arena = Arena.ofAuto();
  private final Map<Long, ArrayDeque<Long>> free = new HashMap<>();
  // In which scopes blocks were asked for that fill large pages.
  private final Map<Block, String> holders = new HashMap<>();
  private long slab;
  private long slabLeft;
  private long live;

  /** Memory at a fixed address. */
  public record Block(long address, long bytes) implements Buffer {}

  /**
   * Memory for so many bytes.
   *
   * @throws ReverieException if the system has not as much, with the scopes that hold most: it
   *     would give addresses all the same, and end the process that writes to them
   */
  public synchronized Block allocate(long bytes) {
    long size = rounded(bytes);
    ArrayDeque<Long> spare = free.get(size);
    long address = spare == null || spare.isEmpty() ? fresh(size) : spare.pop();
    live += bytes;
    Block block = new Block(address, bytes);
    if (size >= Pages.LARGE) {
      holders.put(block, Scope.path());
    }
    return block;
  }

  public synchronized void release(Block block) {
    holders.remove(block);
    free.computeIfAbsent(rounded(block.bytes), _ -> new ArrayDeque<>()).push(block.address);
    live -= block.bytes;
  }

  /** Gives the pages of free memory back to the system; they come again when they are written. */
  public synchronized void trim() {
    free.forEach((size, addresses) -> addresses.forEach(address -> Pages.discard(address, size)));
  }

  /** Gives the pages of a block back to the system; they come again when they are written. */
  public static void discard(Block block) {
    Pages.discard(block.address, block.bytes);
  }

  public static Block part(Block whole, long offset, long bytes) {
    return new Block(whole.address + offset, bytes);
  }

  public synchronized long live() {
    return live;
  }

  private long fresh(long size) {
    if (size >= Pages.LARGE) {
      requireRoom(size);
      return Pages.allocate(arena, size);
    }
    if (size > slabLeft) {
      slab = Pages.allocate(arena, SLAB);
      slabLeft = SLAB;
    }
    long address = slab;
    slab += size;
    slabLeft -= size;
    return address;
  }

  private void requireRoom(long size) {
    if (size <= Room.now().free()) {
      return;
    }
    trim();
    Room room = Room.now();
    if (size > room.free()) {
      Map<String, Long> byScope =
          holders.entrySet().stream()
              .collect(
                  Collectors.groupingBy(
                      Map.Entry::getValue, Collectors.summingLong(held -> held.getKey().bytes)));
      throw OutOfMemory.of("cpu device", size, room.free(), room.total(), live, byScope);
    }
  }

  private static long rounded(long bytes) {
    long size = Math.max(bytes, 256);
    long step = Long.highestOneBit(size - 1) / 4;
    return (size + step - 1) / step * step;
  }
}
