// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.threads;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * Where one thread shows its jobs and others take chunks of them.
 *
 * <p>All that the threads agree on is one number, the ticket: which job is on and which of its
 * chunks is next. A thread takes a chunk by adding one to it; who finishes the last chunk of a job
 * moves it on to the next. No two jobs ever shown on any board have the same number, so a thread
 * that was asleep can never take a chunk of anything but the jobs it has seen.
 */
public final class WorkQueue {
  private static final int CHUNK_BITS = 24;

  /** More than the chunks of any job. */
  public static final long MOST_CHUNKS = (1L << CHUNK_BITS) - 1;

  /** How often a thread looks again before it naps; a step has many short kernels in a row. */
  public static final int SPINS = 2_000;

  /** A wait inside a job list ends by itself: its length is that of one chunk elsewhere. */
  private static final long NAP_NANOS = 50_000;

  /** Far from each other and from other objects, so that no two share a cache line. */
  private static final int TICKET = 16;

  private static final int DONE = 32;
  private static final int COUNTERS = 48;

  public static final BooleanSupplier NEVER = () -> false;

  private final AtomicLongArray counters = new AtomicLongArray(COUNTERS);
  private final AtomicBoolean taken = new AtomicBoolean();
  private final AtomicLong numbers;
  private final Runnable told;
  private final Consumer<BooleanSupplier> rest;

  /** Kept, because threads rest often and the hot loop makes no objects. */
  private final BooleanSupplier open = this::open;

  private volatile Jobs shown;

  /**
   * A free one.
   *
   * @param numbers of jobs, common to all boards
   * @param told what is called when jobs are shown
   * @param rest what a thread does that has looked {@link #SPINS} times in vain, at the longest
   *     until what it is given is true
   */
  public WorkQueue(AtomicLong numbers, Runnable told, Consumer<BooleanSupplier> rest) {
    this.numbers = numbers;
    this.told = told;
    this.rest = rest;
  }

  public static void nap(BooleanSupplier done) {
    if (!done.getAsBoolean()) {
      LockSupport.parkNanos(NAP_NANOS);
    }
  }

  /** Whether the board was free, and is the caller's until {@link #run} returns. */
  public boolean take() {
    return !taken.get() && taken.compareAndSet(false, true);
  }

  /** Shows jobs from this one on and returns when they are done; the board must have been taken. */
  public void run(Jobs jobs, int from) {
    long first = numbers.getAndAdd(jobs.count() + 1L);
    jobs.number(first);
    shown = jobs;
    counters.set(TICKET, first + from << CHUNK_BITS);
    told.run();
    work(jobs, NEVER);
    shown = null;
    taken.set(false);
  }

  /** What is shown and not done yet, or null. */
  public Jobs shown() {
    Jobs jobs = shown;
    return jobs != null && jobs.index(counters.get(TICKET) >>> CHUNK_BITS) >= 0 ? jobs : null;
  }

  /** Takes part until all jobs are done, others have taken their place, or this is enough. */
  public void work(Jobs jobs, BooleanSupplier enough) {
    int waits = 0;
    while (!enough.getAsBoolean()) {
      long ticket = counters.get(TICKET);
      // Asked once: the jobs may have ended, and got new numbers, before a second time.
      int index = jobs.index(ticket >>> CHUNK_BITS);
      if (index < 0) {
        return;
      }
      long chunk = ticket & MOST_CHUNKS;
      if (chunk < jobs.chunks(index)) {
        if (counters.compareAndSet(TICKET, ticket, ticket + 1)) {
          waits = 0;
          jobs.run(index, (int) chunk);
          if (counters.incrementAndGet(DONE) == jobs.chunks(index)) {
            jobs.ended(index);
            counters.set(DONE, 0);
            counters.set(TICKET, (ticket >>> CHUNK_BITS) + 1 << CHUNK_BITS);
          }
        }
      } else if (waits++ < SPINS) {
        Thread.onSpinWait();
      } else {
        rest.accept(open);
      }
    }
  }

  /** Whether a chunk can be taken, or all are done. */
  private boolean open() {
    Jobs jobs = shown;
    long ticket = counters.get(TICKET);
    int index = jobs == null ? -1 : jobs.index(ticket >>> CHUNK_BITS);
    return index < 0 || (ticket & MOST_CHUNKS) < jobs.chunks(index);
  }
}
