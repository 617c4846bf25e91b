// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;

/**
 * A fixed team of threads that share numbered chunks of work, job after job; the calling thread
 * takes part. Work asked for from inside a chunk, or while another thread has the team, runs in the
 * asking thread.
 *
 * <p>All that the threads agree on is one number, the ticket: which job is on and which of its
 * chunks is next. A thread takes a chunk by adding one to it; who finishes the last chunk of a job
 * moves it on to the next. Jobs are numbered through from the start of the team, so a thread that
 * was asleep can never take a chunk of anything but the job it has seen.
 */
final class Team implements Parallel, AutoCloseable {
  /**
   * How often a thread looks again before it goes to sleep; a step has many short kernels in a row.
   */
  private static final int SPINS = 2_000;

  /** A wait inside a job list ends by itself: its length is that of one chunk elsewhere. */
  private static final long NAP_NANOS = 50_000;

  private static final int CHUNK_BITS = 24;
  private static final long CHUNK_MASK = (1L << CHUNK_BITS) - 1;

  /** Far from each other and from other objects, so that no two share a cache line. */
  private static final int TICKET = 16;

  private static final int DONE = 32;
  private static final int COUNTERS = 48;

  private final AtomicLongArray counters = new AtomicLongArray(COUNTERS);
  private final Thread[] workers;
  private final AtomicInteger busy = new AtomicInteger();
  private long sequence;
  private volatile Jobs current;
  private volatile boolean closed;

  Team(int threads) {
    workers = new Thread[Math.max(0, threads - 1)];
    for (int i = 0; i < workers.length; i++) {
      workers[i] = new Thread(this::serve, "reverie-cpu-" + (i + 1));
      workers[i].setDaemon(true);
      workers[i].start();
    }
  }

  /** Jobs one after the other; the team may be given the same ones again and again. */
  static final class Jobs {
    private final Job[] all;
    private long first;
    private long[] nanos;
    private long since;
    private volatile Throwable failure;

    Jobs(Job... all) {
      this.all = all;
      for (Job job : all) {
        if (job.chunks() < 1 || job.chunks() >= CHUNK_MASK) {
          throw new IllegalArgumentException("a job of " + job.chunks() + " chunks");
        }
      }
    }

    private void run(Job job, int chunk) {
      try {
        if (failure == null) {
          job.body().accept(chunk);
        }
      } catch (Throwable t) {
        failure = t;
      }
    }

    private void ended(Job job) {
      if (nanos != null) {
        long now = System.nanoTime();
        nanos[job.call()] += now - since;
        since = now;
      }
    }

    private void rethrow() {
      Throwable t = failure;
      failure = null;
      if (t instanceof RuntimeException e) {
        throw e;
      }
      if (t instanceof Error e) {
        throw e;
      }
    }
  }

  @Override
  public int threads() {
    return workers.length + 1;
  }

  @Override
  public void forEach(int chunks, IntConsumer body) {
    if (chunks <= 1 || workers.length == 0) {
      for (int i = 0; i < chunks; i++) {
        body.accept(i);
      }
    } else {
      run(new Jobs(new Job(chunks, body, 0)), null);
    }
  }

  /**
   * Runs all jobs and returns when they are done.
   *
   * @param nanos null, or where to add how long each took, by {@link Job#call()}
   */
  void run(Jobs jobs, long[] nanos) {
    if (workers.length == 0 || !busy.compareAndSet(0, 1)) {
      alone(jobs, nanos);
      return;
    }
    try {
      jobs.first = sequence;
      jobs.nanos = nanos;
      jobs.since = nanos == null ? 0 : System.nanoTime();
      sequence += jobs.all.length + 1;
      current = jobs;
      counters.set(TICKET, jobs.first << CHUNK_BITS);
      for (Thread worker : workers) {
        LockSupport.unpark(worker);
      }
      work(jobs);
      current = null;
    } finally {
      busy.set(0);
    }
    jobs.rethrow();
  }

  private static void alone(Jobs jobs, long[] nanos) {
    for (Job job : jobs.all) {
      long start = nanos == null ? 0 : System.nanoTime();
      for (int chunk = 0; chunk < job.chunks(); chunk++) {
        job.body().accept(chunk);
      }
      if (nanos != null) {
        nanos[job.call()] += System.nanoTime() - start;
      }
    }
  }

  /** Takes part until all jobs are done, or others have taken their place. */
  private void work(Jobs jobs) {
    int waits = 0;
    while (true) {
      long ticket = counters.get(TICKET);
      long index = (ticket >>> CHUNK_BITS) - jobs.first;
      if (index < 0 || index >= jobs.all.length) {
        return;
      }
      Job job = jobs.all[(int) index];
      long chunk = ticket & CHUNK_MASK;
      if (chunk == job.chunks()) {
        pause(waits++);
      } else if (counters.compareAndSet(TICKET, ticket, ticket + 1)) {
        waits = 0;
        jobs.run(job, (int) chunk);
        if (counters.incrementAndGet(DONE) == job.chunks()) {
          jobs.ended(job);
          counters.set(DONE, 0);
          counters.set(TICKET, (ticket >>> CHUNK_BITS) + 1 << CHUNK_BITS);
        }
      }
    }
  }

  private static void pause(int waits) {
    if (waits < SPINS) {
      Thread.onSpinWait();
    } else {
      LockSupport.parkNanos(NAP_NANOS);
    }
  }

  private void serve() {
    int waits = 0;
    while (!closed) {
      Jobs jobs = current;
      if (jobs != null && pending(jobs)) {
        work(jobs);
        waits = 0;
      } else if (waits++ < SPINS) {
        Thread.onSpinWait();
      } else {
        LockSupport.park(this);
        waits = 0;
      }
    }
  }

  private boolean pending(Jobs jobs) {
    long index = (counters.get(TICKET) >>> CHUNK_BITS) - jobs.first;
    return index >= 0 && index < jobs.all.length;
  }

  @Override
  public void close() {
    closed = true;
    for (Thread worker : workers) {
      LockSupport.unpark(worker);
    }
  }
}
