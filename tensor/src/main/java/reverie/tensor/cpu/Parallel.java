// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;

/**
 * A fixed team of threads that share numbered chunks of work; the calling thread takes part.
 *
 * <p>Kernels decide the chunks from the sizes of the data alone, never from the number of threads,
 * and chunks never share a sum. So which thread runs a chunk cannot change a bit of the result.
 * Work asked for from inside a chunk, or while another thread has the team, runs in the asking
 * thread.
 */
final class Parallel implements AutoCloseable {
  /**
   * How often a thread looks again before it goes to sleep; a step has many short kernels in a row.
   */
  private static final int SPINS = 2_000;

  private final Thread[] workers;
  private final AtomicInteger busy = new AtomicInteger();
  private volatile Job current;
  private volatile boolean closed;

  Parallel(int threads) {
    workers = new Thread[Math.max(0, threads - 1)];
    for (int i = 0; i < workers.length; i++) {
      workers[i] = new Thread(this::work, "reverie-cpu-" + (i + 1));
      workers[i].setDaemon(true);
      workers[i].start();
    }
  }

  /** Threads that share the work, the caller included. */
  int threads() {
    return workers.length + 1;
  }

  /**
   * Runs {@code body} for every chunk in {@code 0 … chunks-1}, in any order, and returns when all
   * are done.
   */
  void forEach(int chunks, IntConsumer body) {
    if (chunks <= 1 || workers.length == 0 || !busy.compareAndSet(0, 1)) {
      for (int i = 0; i < chunks; i++) {
        body.accept(i);
      }
      return;
    }
    try {
      Job job = new Job(chunks, body);
      current = job;
      for (int i = 0; i < Math.min(workers.length, chunks - 1); i++) {
        LockSupport.unpark(workers[i]);
      }
      job.run();
      job.await();
      current = null;
      job.rethrow();
    } finally {
      busy.set(0);
    }
  }

  private void work() {
    Job last = null;
    while (!closed) {
      Job job = current;
      for (int i = 0; i < SPINS && (job == null || job == last); i++) {
        Thread.onSpinWait();
        job = current;
      }
      if (job == null || job == last) {
        last = null;
        LockSupport.park(this);
      } else {
        last = job;
        job.run();
      }
    }
  }

  @Override
  public void close() {
    closed = true;
    for (Thread worker : workers) {
      LockSupport.unpark(worker);
    }
  }

  private static final class Job {
    private final int chunks;
    private final IntConsumer body;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicInteger done = new AtomicInteger();
    private final Thread caller = Thread.currentThread();
    private volatile Throwable failure;

    Job(int chunks, IntConsumer body) {
      this.chunks = chunks;
      this.body = body;
    }

    void run() {
      for (int i = next.getAndIncrement(); i < chunks; i = next.getAndIncrement()) {
        try {
          if (failure == null) {
            body.accept(i);
          }
        } catch (Throwable t) {
          failure = t;
        }
        if (done.incrementAndGet() == chunks) {
          LockSupport.unpark(caller);
        }
      }
    }

    void await() {
      for (int i = 0; done.get() < chunks; i++) {
        if (i < SPINS) {
          Thread.onSpinWait();
        } else {
          LockSupport.park(this);
        }
      }
    }

    void rethrow() {
      Throwable t = failure;
      if (t instanceof RuntimeException e) {
        throw e;
      }
      if (t instanceof Error e) {
        throw e;
      }
    }
  }
}
