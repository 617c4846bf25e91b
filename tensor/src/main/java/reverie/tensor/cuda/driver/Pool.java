// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.spi.Buffer;
import reverie.tensor.spi.OutOfMemory;

/**
 * A device's memory, kept for reuse: asking the driver waits for the device. Work is done in the
 * order in which it is asked for, so memory can be given to the next one at once.
 *
 * <p>Sizes are rounded up to one of four steps in each power of two, so at most a fifth is wasted.
 */
public final class Pool {
  private final Driver driver;
  private final Object device;
  private final Map<Long, Deque<Long>> spare = new HashMap<>();
  private final Set<Block> live = Collections.newSetFromMap(new IdentityHashMap<>());
  private long liveBytes;

  /**
   * Memory of this device.
   *
   * @param device the lock under which the device is asked for memory and captures work, which do
   *     not go together
   */
  public Pool(Driver driver, Object device) {
    this.driver = driver;
    this.device = device;
  }

  /**
   * Memory at a fixed address.
   *
   * @param holder the scope in which it was asked for
   */
  public record Block(long address, long bytes, String holder) implements Buffer {}

  /** The address of a tensor's first element. */
  public static long address(Tensor tensor) {
    return ((Block) tensor.buffer()).address() + tensor.offset() * tensor.dtype().bytes();
  }

  /**
   * Memory, aligned to 256 bytes.
   *
   * @throws ReverieException if there is not as much, with the scopes that hold most
   */
  public Block allocate(long bytes) {
    long size = rounded(bytes);
    long address = spare(size);
    if (address == 0) {
      synchronized (device) {
        address = fresh(size);
      }
    }
    if (address == 0) {
      throw exhausted(bytes);
    }
    return lend(new Block(address, bytes, Scope.path()));
  }

  private synchronized long spare(long size) {
    Deque<Long> fitting = spare.get(size);
    return fitting == null || fitting.isEmpty() ? 0 : fitting.pop();
  }

  private synchronized Block lend(Block block) {
    live.add(block);
    liveBytes += block.bytes;
    return block;
  }

  /** Takes a block back. */
  public synchronized void release(Block block) {
    if (!live.remove(block)) {
      throw new IllegalStateException("given back twice: " + block);
    }
    spare.computeIfAbsent(rounded(block.bytes), _ -> new ArrayDeque<>()).push(block.address);
    liveBytes -= block.bytes;
  }

  /** A part of a block. */
  public static Block part(Block whole, long offset, long bytes) {
    return new Block(whole.address + offset, bytes, whole.holder);
  }

  /** Bytes of all blocks that were not released. */
  public synchronized long liveBytes() {
    return liveBytes;
  }

  private long fresh(long size) {
    long address = driver.allocate(size);
    if (address == 0) {
      trim();
      address = driver.allocate(size);
    }
    return address;
  }

  /** Gives what nobody uses back to the device. */
  public void trim() {
    synchronized (device) {
      driver.synchronize();
      synchronized (this) {
        spare.values().forEach(addresses -> addresses.forEach(driver::free));
        spare.clear();
      }
    }
  }

  private synchronized ReverieException exhausted(long bytes) {
    Map<String, Long> holders =
        live.stream()
            .collect(Collectors.groupingBy(Block::holder, Collectors.summingLong(Block::bytes)));
    return OutOfMemory.of(
        "cuda device", bytes, driver.freeBytes(), driver.properties().bytes(), liveBytes, holders);
  }

  private static long rounded(long bytes) {
    long size = Math.max(bytes, 512);
    long step = Long.highestOneBit(size - 1) / 4;
    return (size + step - 1) / step * step;
  }
}
