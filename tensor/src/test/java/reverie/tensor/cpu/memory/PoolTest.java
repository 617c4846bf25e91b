// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;

class PoolTest {
  private static final long[] SIZES = {0, 1, 64, 255, 256, 257, 4096, 5000, 1 << 20, 3 << 20};

  @Test
  void givesAlignedMemoryThatDoesNotOverlap() {
    Pool pool = new Pool();
    List<Pool.Block> blocks = new ArrayList<>();
    for (int round = 0; round < 3; round++) {
      for (long size : SIZES) {
        Pool.Block block = pool.allocate(size);
        assertEquals(0, block.address() % 64, "alignment of " + size + " bytes");
        blocks.add(block);
      }
    }
    blocks.sort(Comparator.comparingLong(Pool.Block::address));
    for (int i = 1; i < blocks.size(); i++) {
      Pool.Block before = blocks.get(i - 1);
      assertTrue(before.address() + before.bytes() <= blocks.get(i).address());
    }
  }

  @Test
  void usesMemoryAgainAndCountsWhatLives() {
    Pool pool = new Pool();
    for (long size : SIZES) {
      Pool.Block first = pool.allocate(size);
      assertEquals(size, pool.live());
      pool.release(first);
      assertEquals(0, pool.live());
      Pool.Block second = pool.allocate(size);
      assertEquals(first.address(), second.address());
      pool.release(second);
    }
  }

  @Test
  void trimmingKeepsWhatLivesAndFreeMemoryCanBeUsedAgain() {
    Pool pool = new Pool();
    for (long size : new long[] {4096, 3 << 20}) {
      Pool.Block living = pool.allocate(size);
      Pool.Block free = pool.allocate(size);
      Memory.set(living.address() + size - 4, 5);
      Memory.set(free.address(), 7);
      pool.release(free);
      pool.trim();
      assertEquals(5, Memory.get(living.address() + size - 4));
      boolean discarded = size >= Pages.LARGE && System.getProperty("os.name").equals("Linux");
      assertEquals(discarded ? 0 : 7, Memory.get(free.address()));
      Pool.Block again = pool.allocate(size);
      assertEquals(free.address(), again.address());
      Memory.set(again.address(), 9);
      assertEquals(9, Memory.get(again.address()));
    }
  }

  /** The system would give the addresses, and end the process that writes to them. */
  @Test
  void whatTheSystemDoesNotHaveIsRefused() {
    assumeTrue(Room.now().total() < Long.MAX_VALUE, "the system does not say what it has");
    Pool pool = new Pool();
    try (Scope _ = Scope.open("epoch")) {
      Pool.Block released = pool.allocate(8 << 20);
      try (Scope _ = Scope.open("activations")) {
        pool.allocate(6 << 20);
      }
      pool.allocate(2 << 20);
      pool.release(released);
      ReverieException full =
          assertThrows(ReverieException.class, () -> pool.allocate(4 * Room.now().total()));
      String message = full.getMessage();
      assertTrue(message.startsWith("cpu device: out of memory: asked for "), message);
      assertTrue(
          message.contains(" MB are held: 6.0 MB by epoch > activations; 2.0 MB by epoch\nhint: "),
          message);
      assertEquals(8 << 20, pool.live());
    }
  }
}
