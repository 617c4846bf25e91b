// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.threads;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * The jobs that one thread publishes and others take blocks of.
 *
 * <p>All that the threads agree on is one number, the ticket: which job is current and which of its
 * blocks is next. A thread takes a block by adding one to it; who finishes the last block of a job
 * moves it on to the next. No two jobs ever published in any queue have the same number, so a
 * thread that was asleep can never take a block of anything but the jobs it has seen.
 */
public final class WorkQueue {
  private static final int BLOCK_BITS = 24;

  /** More than the blocks of any job. */
  public static final long MAX_BLOCKS = (1L << BLOCK_BITS) - 1;

  /** How often a thread looks again before it pauses; a step has many short kernels in a row. */
  public static final int SPINS = 2_000;

  /** A wait inside a job list ends by itself: its length is that of one block elsewhere. */
  private static final long PAUSE_NANOS = 50_000;

  /** Far from each other and from other objects, so that no two share a cache line. */
  private static final int TICKET = 16;

  private static final int DONE = 32;
  private static final int COUNTERS = 48;

  public static final BooleanSupplier NEVER = () -> false;

  private final AtomicLongArray counters = new AtomicLongArray(COUNTERS);
  private final AtomicBoolean acquired = new AtomicBoolean();
  private final AtomicLong numbers;
  private final Runnable onPublish;
  private final Consumer<BooleanSupplier> idle;

  /** Kept, because threads are often idle and the hot loop makes no objects. */
  private final BooleanSupplier open = this::open;

  private volatile Jobs current;

  /**
   * A free one.
   *
   * @param numbers of jobs, common to all queues
   * @param onPublish what is called when jobs are published
   * @param idle what a thread does that has looked {@link #SPINS} times in vain, at the longest
   *     until what it is given is true
   */
  public WorkQueue(AtomicLong numbers, Runnable onPublish, Consumer<BooleanSupplier> idle) {
    this.numbers = numbers;
    this.onPublish = onPublish;
    this.idle = idle;
  }

  public static void pause(BooleanSupplier done) {
    if (!done.getAsBoolean()) {
      LockSupport.parkNanos(PAUSE_NANOS);
    }
  }

  /** Whether the queue was free, and is the caller's until {@link #run} returns. */
  public boolean acquire() {
    return !acquired.get() && acquired.compareAndSet(false, true);
  }

  /**
   * Publishes jobs from this one on and returns when they are done; the queue must have been
   * acquired.
   */
  public void run(Jobs jobs, int from) {
    long first = numbers.getAndAdd(jobs.count() + 1L);
    jobs.number(first);
    current = jobs;
    counters.set(TICKET, first + from << BLOCK_BITS);
    onPublish.run();
    work(jobs, NEVER);
    current = null;
    acquired.set(false);
  }

  /** The jobs that are published and not done, or null. */
  public Jobs current() {
    Jobs jobs = current;
    return jobs != null && jobs.index(counters.get(TICKET) >>> BLOCK_BITS) >= 0 ? jobs : null;
  }

  /** Takes part until all jobs are done, others have taken their place, or this is enough. */
  public void work(Jobs jobs, BooleanSupplier enough) {
    int waits = 0;
    while (!enough.getAsBoolean()) {
      long ticket = counters.get(TICKET);
      // Asked once: the jobs may have ended, and got new numbers, before a second time.
      int index = jobs.index(ticket >>> BLOCK_BITS);
      if (index < 0) {
        return;
      }
      long block = ticket & MAX_BLOCKS;
      if (block < jobs.blocks(index)) {
        if (counters.compareAndSet(TICKET, ticket, ticket + 1)) {
          waits = 0;
          jobs.run(index, (int) block);
          if (counters.incrementAndGet(DONE) == jobs.blocks(index)) {
            jobs.ended(index);
            counters.set(DONE, 0);
            counters.set(TICKET, (ticket >>> BLOCK_BITS) + 1 << BLOCK_BITS);
          }
        }
      } else if (waits++ < SPINS) {
        Thread.onSpinWait();
      } else {
        idle.accept(open);
      }
    }
  }

  /** Whether a block can be taken, or all are done. */
  private boolean open() {
    Jobs jobs = current;
    long ticket = counters.get(TICKET);
    int index = jobs == null ? -1 : jobs.index(ticket >>> BLOCK_BITS);
    return index < 0 || (ticket & MAX_BLOCKS) < jobs.blocks(index);
  }
}
