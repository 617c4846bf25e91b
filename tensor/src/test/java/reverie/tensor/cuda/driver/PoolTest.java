// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;

class PoolTest {
  private static final long MEBI = 1 << 20;

  private final HostDriver driver = new HostDriver(64 * MEBI);
  private final Pool pool = new Pool(driver, new Object());
  private final List<Pool.Block> blocks = new ArrayList<>();

  private Pool.Block allocate(long bytes) {
    Pool.Block block = pool.allocate(bytes);
    blocks.add(block);
    return block;
  }

  @AfterEach
  void nothingLeaks() {
    blocks.forEach(pool::release);
    assertEquals(0, pool.liveBytes());
    pool.trim();
    assertEquals(0, driver.leaks());
    driver.close();
  }

  @Test
  void asksTheDriverOnlyOnceForTheSameSize() {
    Pool.Block first = pool.allocate(1000);
    assertEquals(1000, pool.liveBytes());
    pool.release(first);
    int calls = driver.calls();
    Pool.Block second = allocate(1010);
    assertEquals(first.address(), second.address());
    assertEquals(calls, driver.calls());
    assertNotEquals(second.address(), allocate(1010).address());
  }

  @Test
  void givesBackWhatIsSpareBeforeItGivesUp() {
    pool.release(pool.allocate(40 * MEBI));
    assertEquals(50 * MEBI, allocate(50 * MEBI).bytes());
  }

  @Test
  void namesTheLargestHolders() {
    try (Scope _ = Scope.open("epoch")) {
      try (Scope _ = Scope.open("activations")) {
        allocate(30 * MEBI);
        allocate(16 * MEBI);
      }
      allocate(6 * MEBI);
      ReverieException full = assertThrows(ReverieException.class, () -> pool.allocate(20 * MEBI));
      String message = full.getMessage();
      assertTrue(
          message.contains(
              "out of memory: asked for 20.0 MB, 10.0 MB of 64.0 MB are free; 52.0 MB are held:"
                  + " 46.0 MB by epoch > activations; 6.0 MB by epoch"),
          message);
      assertTrue(message.contains("hint: "), message);
    }
  }

  @Test
  void refusesWhatIsGivenBackTwice() {
    Pool.Block block = pool.allocate(1);
    pool.release(block);
    assertThrows(IllegalStateException.class, () -> pool.release(block));
  }
}
