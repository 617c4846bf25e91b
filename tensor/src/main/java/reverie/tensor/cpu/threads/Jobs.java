// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.threads;

/** Jobs one after the other; a team may be given the same ones again and again. */
public final class Jobs {
  private final Job[] all;
  private volatile long first;
  private long[] nanos;
  private long since;
  private volatile Throwable failure;

  public Jobs(Job... all) {
    this.all = all;
    for (Job job : all) {
      if (job.blocks() < 1 || job.blocks() >= WorkQueue.MAX_BLOCKS) {
        throw new IllegalArgumentException("a job of " + job.blocks() + " blocks");
      }
    }
  }

  public int count() {
    return all.length;
  }

  public int blocks(int index) {
    return all[index].blocks();
  }

  /**
   * Clears the state of the last run.
   *
   * @param sums null, or where to add how long each job took, by {@link Job#call()}
   */
  public void begin(long[] sums) {
    failure = null;
    nanos = sums;
    since = sums == null ? 0 : System.nanoTime();
  }

  /** Numbers all jobs for this run, the first with this one. */
  public void number(long number) {
    first = number;
  }

  /** The job of a number, or -1 if that is for other jobs. */
  public int index(long number) {
    long index = number - first;
    return index >= 0 && index < all.length ? (int) index : -1;
  }

  /** A block, unless one has failed. */
  public void run(int index, int block) {
    try {
      if (failure == null) {
        all[index].body().accept(block);
      }
    } catch (Throwable t) {
      failure = t;
    }
  }

  /** Called when all blocks of a job are done. */
  public void ended(int index) {
    if (nanos != null) {
      long now = System.nanoTime();
      nanos[all[index].call()] += now - since;
      since = now;
    }
  }

  public void rethrow() {
    Throwable t = failure;
    if (t instanceof RuntimeException e) {
      throw e;
    }
    if (t instanceof Error e) {
      throw e;
    }
  }
}
