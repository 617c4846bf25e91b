// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.threads;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TeamTest {
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void runsEveryBlockOnce(int threads) {
    try (Team parallel = new Team(threads)) {
      for (int blocks : new int[] {0, 1, 2, 7, 1000}) {
        AtomicIntegerArray runs = new AtomicIntegerArray(blocks);
        parallel.parallelFor(blocks, runs::incrementAndGet);
        int[] got = new int[blocks];
        Arrays.setAll(got, runs::get);
        int[] once = new int[blocks];
        Arrays.fill(once, 1);
        assertArrayEquals(once, got);
      }
    }
  }

  @Test
  void runsWorkAskedForFromInside() {
    try (Team parallel = new Team(2)) {
      AtomicInteger runs = new AtomicInteger();
      parallel.parallelFor(5, _ -> parallel.parallelFor(7, _ -> runs.incrementAndGet()));
      assertEquals(35, runs.get());
    }
  }

  @Test
  void passesOnFailuresAndGoesOnWorking() {
    try (Team parallel = new Team(2)) {
      for (int failing : new int[] {0, 50, 99}) {
        IllegalStateException error =
            assertThrows(
                IllegalStateException.class,
                () ->
                    parallel.parallelFor(
                        100,
                        i -> {
                          if (i == failing) {
                            throw new IllegalStateException("block " + i);
                          }
                        }));
        assertEquals("block " + failing, error.getMessage());
      }
      AtomicInteger runs = new AtomicInteger();
      parallel.parallelFor(100, _ -> runs.incrementAndGet());
      assertEquals(100, runs.get());
    }
  }

  /** A thread that has nothing to do takes blocks of jobs that run inside another's block. */
  @Test
  void helpsInsideAnothersBlock() {
    try (Team team = new Team(2)) {
      Set<Thread> seen = ConcurrentHashMap.newKeySet();
      team.parallelFor(
          2,
          block -> {
            if (block == 1) {
              team.run(jobsUntil(seen, () -> {}), null);
            }
          });
      assertEquals(2, seen.size());
    }
  }

  @Test
  void helpsWhileItWaits() {
    try (Team team = new Team(2)) {
      Set<Thread> seen = ConcurrentHashMap.newKeySet();
      AtomicInteger turn = new AtomicInteger();
      team.parallelFor(
          2,
          block -> {
            if (block == 0) {
              team.run(jobsUntil(seen, () -> {}), null);
              turn.set(1);
            } else {
              team.help(() -> turn.get() == 1);
            }
          });
      assertEquals(2, seen.size());
    }
  }

  @Test
  void passesOnWhatFailsWhileHelping() {
    try (Team team = new Team(2)) {
      Runnable failure =
          () -> {
            throw new IllegalStateException("helped");
          };
      Jobs jobs = jobsUntil(ConcurrentHashMap.newKeySet(), failure);
      IllegalStateException error =
          assertThrows(
              IllegalStateException.class,
              () ->
                  team.parallelFor(
                      2,
                      block -> {
                        if (block == 1) {
                          team.run(jobs, null);
                        }
                      }));
      assertEquals("helped", error.getMessage());
      AtomicInteger runs = new AtomicInteger();
      team.parallelFor(100, _ -> runs.incrementAndGet());
      assertEquals(100, runs.get());
    }
  }

  /** Neither showing jobs nor waiting for another's block makes an object. */
  @Test
  void makesNoObjects() {
    var memory = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    try (Team team = new Team(2)) {
      Set<Thread> threads = ConcurrentHashMap.newKeySet();
      Jobs jobs =
          new Jobs(
              new Job(
                  2,
                  block -> {
                    threads.add(Thread.currentThread());
                    LockSupport.parkNanos(block * 1_000_000L);
                  },
                  0));
      for (int run = 0; run < 100 || threads.size() < 2; run++) {
        team.run(jobs, null);
      }
      LongSupplier bytes =
          () ->
              threads.stream()
                  .mapToLong(thread -> memory.getThreadAllocatedBytes(thread.threadId()))
                  .sum();
      long before = bytes.getAsLong();
      for (int run = 0; run < 1000; run++) {
        team.run(jobs, null);
      }
      long each = (bytes.getAsLong() - before) / 1000;
      assertTrue(each < 16, each + " bytes a run, not even one object expected");
    }
  }

  /** Slow jobs until two threads have been seen, which do something then; quick ones after that. */
  private static Jobs jobsUntil(Set<Thread> seen, Runnable together) {
    AtomicInteger slow = new AtomicInteger(20_000);
    IntConsumer body =
        _ -> {
          seen.add(Thread.currentThread());
          if (seen.size() == 2) {
            together.run();
          } else if (slow.decrementAndGet() > 0) {
            LockSupport.parkNanos(1_000_000);
          }
        };
    Job[] all = new Job[10_000];
    Arrays.fill(all, new Job(2, body, 0));
    return new Jobs(all);
  }
}
