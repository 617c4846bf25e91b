// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import java.util.List;
import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.spi.Call;
import reverie.tensor.spi.Replay;

/** A list of operations as one CUDA graph: a run is a single call. */
final class Graph implements Replay {
  private final Driver driver;
  private final CudaBackend backend;
  private final List<Call> calls;
  private final long graph;

  Graph(Driver driver, CudaBackend backend, List<Call> calls) {
    this.driver = driver;
    this.backend = backend;
    this.calls = calls;
    driver.beginCapture();
    try {
      calls.forEach(this::run);
    } catch (RuntimeException | Error failure) {
      abandon(failure);
      throw failure;
    }
    graph = driver.endCapture();
  }

  /** The stream must not stay in capture whatever went wrong. */
  private void abandon(Throwable failure) {
    try {
      driver.destroyGraph(driver.endCapture());
    } catch (RuntimeException more) {
      failure.addSuppressed(more);
    }
  }

  private void run(Call call) {
    backend.run(call.op(), call.inputs(), call.outputs(), call.scratch());
  }

  @Override
  public void run(long[] nanos) {
    synchronized (backend) {
      if (nanos == null) {
        driver.launchGraph(graph);
      } else {
        measure(nanos);
      }
    }
  }

  /** One operation after the other, between marks: their times as the device sees them. */
  private void measure(long... nanos) {
    long[] marks = new long[calls.size() + 1];
    for (int i = 0; i < marks.length; i++) {
      marks[i] = driver.event();
    }
    try {
      driver.mark(marks[0]);
      for (int i = 0; i < calls.size(); i++) {
        run(calls.get(i));
        driver.mark(marks[i + 1]);
      }
      for (int i = 0; i < calls.size(); i++) {
        nanos[i] += driver.nanosBetween(marks[i], marks[i + 1]);
      }
    } finally {
      for (long mark : marks) {
        driver.destroyEvent(mark);
      }
    }
  }

  @Override
  public void close() {
    driver.destroyGraph(graph);
  }
}
