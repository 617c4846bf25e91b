// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MemoryPlanTest {
  private static List<MemoryPlan.Block> random(long seed) {
    Random random = new Random(seed);
    List<MemoryPlan.Block> blocks = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      int first = random.nextInt(100);
      int last = first + random.nextInt(random.nextInt(10) == 0 ? 100 : 5);
      blocks.add(new MemoryPlan.Block(random.nextInt(1 << random.nextInt(14)), first, last));
    }
    return blocks;
  }

  @ParameterizedTest
  @CsvSource({"1, 64", "2, 64", "3, 64", "4, 256", "5, 256", "6, 256"})
  void blocksThatLiveTogetherNeverOverlap(long seed, int alignment) {
    List<MemoryPlan.Block> blocks = random(seed);
    MemoryPlan plan = MemoryPlan.of(blocks, alignment);
    for (int i = 0; i < blocks.size(); i++) {
      long start = plan.offsets()[i];
      assertEquals(0, start % alignment);
      assertTrue(start + blocks.get(i).bytes() <= plan.bytes());
      for (int j = 0; j < i; j++) {
        boolean apart =
            start + blocks.get(i).bytes() <= plan.offsets()[j]
                || plan.offsets()[j] + blocks.get(j).bytes() <= start;
        assertTrue(
            apart || !liveTogether(blocks.get(i), blocks.get(j)),
            blocks.get(i) + " at " + start + ", " + blocks.get(j) + " at " + plan.offsets()[j]);
      }
    }
  }

  private static boolean liveTogether(MemoryPlan.Block a, MemoryPlan.Block b) {
    return a.first() <= b.last() && b.first() <= a.last();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void needsLittleMoreThanTheMostThatLivesAtOnce(long seed) {
    List<MemoryPlan.Block> blocks = random(seed);
    long most = 0;
    for (int t = 0; t < 200; t++) {
      int now = t;
      most =
          Math.max(
              most,
              blocks.stream()
                  .filter(b -> b.first() <= now && now <= b.last())
                  .mapToLong(b -> b.room(64))
                  .sum());
    }
    long bytes = MemoryPlan.of(blocks, 64).bytes();
    assertTrue(bytes >= most && bytes <= 1.2 * most, bytes + " for " + most);
  }

  @Test
  void usesMemoryAgain() {
    MemoryPlan plan =
        MemoryPlan.of(
            List.of(
                new MemoryPlan.Block(640, 0, 1),
                new MemoryPlan.Block(640, 2, 3),
                new MemoryPlan.Block(64, 1, 2)),
            64);
    assertEquals(704, plan.bytes());
    assertEquals(0, MemoryPlan.of(List.of(), 64).bytes());
  }
}
