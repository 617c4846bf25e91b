// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import reverie.tensor.ReverieException;

/**
 * Runs a reward beside the sampler: batches are scored one after the other on a thread of their own
 * while the next samples are drawn. Whatever a reward does wrong becomes one {@link
 * ReverieException} that names the reward and the batch: it throws (the cause is kept), it hangs
 * past its time (it is interrupted and left behind), it returns the wrong number of scores, NaN,
 * Inf or a number too large for statistics (with the sample and its prompt). After an error no
 * further batch is scored.
 */
public final class RewardRunner implements AutoCloseable {
  /** Beyond this the squares of scores, which statistics need, leave the range of float32. */
  static final double MAX_SCORE = 1e15;

  private final Reward reward;
  private final Duration timeout;
  private final Deque<Submitted> queue = new ArrayDeque<>();
  private final Thread coordinator;
  private int submitted;
  private boolean closed;
  private ReverieException failure;

  /**
   * Starts the thread.
   *
   * @param timeout how long one batch may take from the moment its scoring starts
   */
  public RewardRunner(Reward reward, Duration timeout) {
    if (timeout.isNegative() || timeout.isZero()) {
      throw new ReverieException(
          "reward " + reward.name() + ": expected a positive timeout, got " + timeout);
    }
    this.reward = reward;
    this.timeout = timeout;
    this.coordinator =
        Thread.ofPlatform().daemon().name("reward " + reward.name()).start(this::work);
  }

  /** Scores that will come. */
  public static final class Pending {
    private final CompletableFuture<double[]> scores = new CompletableFuture<>();

    private Pending() {}

    /**
     * Waits for the scores of the batch.
     *
     * @throws ReverieException if the reward failed on this or an earlier batch
     * @throws CancellationException if this thread is interrupted while it waits
     */
    public double[] await() {
      try {
        return scores.get();
      } catch (ExecutionException e) {
        throw (ReverieException) e.getCause();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new CancellationException("interrupted while waiting for rewards");
      }
    }

    /** Whether {@link #await} would return at once. */
    public boolean isDone() {
      return scores.isDone();
    }
  }

  private record Submitted(int number, RewardBatch batch, Pending pending) {}

  /** Queues a batch and returns at once. */
  public synchronized Pending submit(RewardBatch batch) {
    if (closed) {
      throw new ReverieException("reward " + reward.name() + ": the runner is closed");
    }
    Pending pending = new Pending();
    if (failure != null) {
      pending.scores.completeExceptionally(failure);
    } else {
      queue.add(new Submitted(submitted++, batch, pending));
      notifyAll();
    }
    return pending;
  }

  /** Stops: a batch that is being scored is interrupted, and what still waits fails. */
  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    coordinator.interrupt();
  }

  private void work() {
    try {
      while (true) {
        Submitted next = next();
        try {
          next.pending().scores.complete(score(next));
        } catch (ReverieException e) {
          fail(next, e);
        }
      }
    } catch (InterruptedException closing) {
      failWaiting(new ReverieException("reward " + reward.name() + ": the runner was closed"));
    }
  }

  private synchronized Submitted next() throws InterruptedException {
    while (queue.isEmpty()) {
      wait();
    }
    return queue.remove();
  }

  private void fail(Submitted at, ReverieException e) {
    at.pending().scores.completeExceptionally(e);
    failWaiting(e);
  }

  private synchronized void failWaiting(ReverieException e) {
    failure = e;
    queue.forEach(waiting -> waiting.pending().scores.completeExceptionally(e));
    queue.clear();
  }

  private double[] score(Submitted work) throws InterruptedException {
    var task = new FutureTask<>(() -> reward.score(work.batch()));
    String where =
        String.format(
            Locale.ROOT,
            "reward %s, batch %d (%d samples)",
            reward.name(),
            work.number(),
            work.batch().size());
    Thread thread = Thread.ofPlatform().daemon().name(where).start(task);
    try {
      return checked(
          where, work.batch(), task.get(Math.max(1, timeout.toMillis()), TimeUnit.MILLISECONDS));
    } catch (ExecutionException e) {
      Throwable cause = e.getCause();
      if (cause instanceof ReverieException known) {
        throw known; // It names the reward, says what is wrong and what to do.
      }
      throw new ReverieException(
          where + ": threw " + cause,
          "the mistake is in the reward: its stack trace is this error's cause",
          cause);
    } catch (TimeoutException e) {
      throw new ReverieException(
          where + ": no scores after " + seconds(timeout),
          "raise the timeout if the reward is only slow; a program has to flush every line that it"
              + " writes (python3 -u, or print(…, flush=True))");
    } catch (InterruptedException e) {
      work.pending()
          .scores
          .completeExceptionally(new ReverieException(where + ": the runner was closed"));
      throw e;
    } finally {
      thread.interrupt();
    }
  }

  /** The scores if they are as promised, an error that names the reward and the sample if not. */
  static double[] checked(Reward reward, RewardBatch batch, double[] scores) {
    return checked("reward " + reward.name(), batch, scores);
  }

  private static double[] checked(String where, RewardBatch batch, double[] scores) {
    if (scores == null || scores.length != batch.size()) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "%s: expected %d scores, got %s",
              where,
              batch.size(),
              scores == null ? "null" : scores.length),
          "return one score per sample");
    }
    for (int i = 0; i < scores.length; i++) {
      if (!(Math.abs(scores[i]) <= MAX_SCORE)) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "%s: the score of sample %d is %s (prompt \"%s\")",
                where,
                i,
                scores[i],
                batch.prompts().get(i)),
            "return a number from -1e15 to 1e15 for every image");
      }
    }
    return scores.clone();
  }

  private static String seconds(Duration duration) {
    return duration.toMillis() / 1000.0 + " s";
  }
}
