// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import java.util.List;
import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.cuda.kernels.Program;
import reverie.tensor.spi.Call;
import reverie.tensor.spi.Replay;

/**
 * A list of operations as one CUDA graph: a run is a single call. The first use of everything is
 * over before the capture begins.
 */
final class Graph implements Replay {
  private static final long NONE = -1;

  private final Driver driver;
  private final Object device;
  private final Program program;

  /** {@link #NONE}: the next run captures it. */
  private long graph;

  /**
   * Captures a program, which is closed with the graph.
   *
   * @param device the lock under which the device works
   */
  Graph(Driver driver, Object device, Program program) {
    this.driver = driver;
    this.device = device;
    this.program = program;
    try {
      graph = capture();
    } catch (RuntimeException | Error failure) {
      program.close();
      throw failure;
    }
  }

  private long capture() {
    driver.synchronize();
    driver.beginCapture();
    try {
      program.run();
    } catch (RuntimeException | Error failure) {
      abandon(failure);
      throw failure;
    }
    return driver.endCapture();
  }

  /** The stream must not stay in capture whatever went wrong. */
  private void abandon(Throwable failure) {
    try {
      driver.destroyGraph(driver.endCapture());
    } catch (RuntimeException more) {
      failure.addSuppressed(more);
    }
  }

  @Override
  public void run(long[] nanos) {
    synchronized (device) {
      if (program.prepare()) {
        destroy();
      }
      if (graph == NONE) {
        graph = capture();
      }
      if (nanos == null) {
        driver.launchGraph(graph);
      } else {
        measure(nanos);
      }
      program.finish();
    }
  }

  /** One step after the other, between marks: their times as the device sees them. */
  private void measure(long... nanos) {
    long[] marks = new long[program.steps() + 1];
    for (int i = 0; i < marks.length; i++) {
      marks[i] = driver.event();
    }
    try {
      driver.mark(marks[0]);
      for (int step = 0; step < program.steps(); step++) {
        program.run(step);
        driver.mark(marks[step + 1]);
      }
      int call = 0;
      for (int step = 0; step < program.steps(); step++) {
        // Operations that are one launch share its time.
        List<Call> calls = program.calls(step);
        long time = driver.nanosBetween(marks[step], marks[step + 1]);
        for (int i = 0; i < calls.size(); i++) {
          nanos[call++] += time / calls.size();
        }
      }
    } finally {
      for (long mark : marks) {
        driver.destroyEvent(mark);
      }
    }
  }

  @Override
  public void close() {
    synchronized (device) {
      try {
        destroy();
      } finally {
        program.close();
      }
    }
  }

  private void destroy() {
    if (graph != NONE) {
      long old = graph;
      graph = NONE;
      driver.destroyGraph(old);
    }
  }
}
