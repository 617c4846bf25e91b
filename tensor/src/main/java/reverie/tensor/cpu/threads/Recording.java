// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.threads;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.spi.Replay;

/**
 * Notes the work of kernels instead of doing it. What they take from {@link Scratch} outside their
 * blocks (packed panels, partial sums) comes from memory that belongs to the recording: kernels run
 * in the order in which they were recorded, so one may use what the one before has given back.
 */
public final class Recording implements Parallel {
  private final Team team;
  private final Arena arena = Arena.ofShared();
  private final Scratch scratch = new Scratch(arena);
  private final List<Job> jobs = new ArrayList<>();
  private int call;
  private boolean done;

  public Recording(Team team) {
    this.team = team;
  }

  /** Records the kernel of an operation. */
  public void record(int operation, Runnable kernel) {
    call = operation;
    Scratch.with(scratch, kernel);
  }

  @Override
  public void parallelFor(int n, IntConsumer body) {
    if (done) {
      // Asked for from inside a block, while it runs.
      for (int i = 0; i < n; i++) {
        body.accept(i);
      }
    } else if (n > 0) {
      jobs.add(new Job(n, body, call));
    }
  }

  /** What was recorded, ready to run. */
  public Replay replay() {
    done = true;
    Jobs all = new Jobs(jobs.toArray(Job[]::new));
    return new Replay() {
      @Override
      public void run(long[] nanos) {
        team.run(all, nanos);
      }

      @Override
      public void close() {
        arena.close();
      }
    };
  }
}
