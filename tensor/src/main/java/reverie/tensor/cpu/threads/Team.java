// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.threads;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;

/**
 * A fixed team of threads that share numbered blocks of work, job after job; the calling thread
 * takes part.
 *
 * <p>Work asked for from inside a block, or while another thread has the team, is the asking
 * thread's own, until one of the team has nothing to do: from the next job on that one helps. So
 * threads that compute a micro-batch each end together, whatever else their processors do.
 */
public final class Team implements Parallel, AutoCloseable {
  private final AtomicLong numbers = new AtomicLong();
  private final WorkQueue all = new WorkQueue(numbers, this::wake, this::help);
  private final WorkQueue inside = new WorkQueue(numbers, () -> {}, WorkQueue::pause);
  private final AtomicInteger idle = new AtomicInteger();
  private final Thread[] workers;
  private volatile boolean closed;

  public Team(int threads) {
    workers = new Thread[Math.max(0, threads - 1)];
    for (int i = 0; i < workers.length; i++) {
      workers[i] = new Thread(this::serve, "reverie-cpu-" + (i + 1));
      workers[i].setDaemon(true);
      workers[i].start();
    }
  }

  /** Threads that share the work, the caller included. */
  public int threads() {
    return workers.length + 1;
  }

  @Override
  public void parallelFor(int n, IntConsumer body) {
    if (n <= 1 || workers.length == 0) {
      for (int i = 0; i < n; i++) {
        body.accept(i);
      }
    } else {
      run(new Jobs(new Job(n, body, 0)), null);
    }
  }

  /**
   * Runs all jobs and returns when they are done.
   *
   * @param nanos null, or where to add how long each took, by {@link Job#call()}
   */
  public void run(Jobs jobs, long[] nanos) {
    jobs.begin(nanos);
    if (workers.length > 0 && all.acquire()) {
      all.run(jobs, 0);
    } else {
      runInside(jobs);
    }
    jobs.rethrow();
  }

  private void runInside(Jobs jobs) {
    for (int index = 0; index < jobs.count(); index++) {
      if (idle.get() > 0 && inside.acquire()) {
        inside.run(jobs, index);
        return;
      }
      for (int block = 0; block < jobs.blocks(index); block++) {
        jobs.run(index, block);
      }
      jobs.ended(index);
    }
  }

  /** Waits, and takes part meanwhile in what another thread does inside a block. */
  public void help(BooleanSupplier done) {
    idle.incrementAndGet();
    for (int waits = 0; !done.getAsBoolean(); waits++) {
      Jobs jobs = inside.current();
      if (jobs != null) {
        inside.work(jobs, done);
      } else if (waits < WorkQueue.SPINS) {
        Thread.onSpinWait();
      } else {
        WorkQueue.pause(done);
      }
    }
    idle.decrementAndGet();
  }

  private void wake() {
    for (Thread worker : workers) {
      LockSupport.unpark(worker);
    }
  }

  private void serve() {
    int waits = 0;
    while (!closed) {
      Jobs jobs = all.current();
      if (jobs != null) {
        all.work(jobs, WorkQueue.NEVER);
        waits = 0;
      } else if (waits++ < WorkQueue.SPINS) {
        Thread.onSpinWait();
      } else {
        LockSupport.park(this);
        waits = 0;
      }
    }
  }

  @Override
  public void close() {
    closed = true;
    wake();
  }
}
