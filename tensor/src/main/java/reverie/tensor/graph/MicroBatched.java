// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import reverie.tensor.Device;
import reverie.tensor.Direct;
import reverie.tensor.Interpreter;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.op.Binary;
import reverie.tensor.spi.Backend;

/**
 * A function of a batch whose samples do not meet, carried out on a few samples at a time: slices
 * whose memory stays in the cache, each by one thread from beginning to end, several at once. So
 * threads wait for each other once in a batch, not after every operation. Slices of one size are
 * {@linkplain CapturedFunction captured} once.
 *
 * <pre>{@code
 * Tensor total = device.scalar(0);
 * try (MicroBatched square = new MicroBatched(device, List.of(total), in -> {
 *   Tensor y = in[0].square();
 *   return new Tensor[] {y.sum(), y};
 * })) {
 *   Tensor y = square.run(x).getFirst(); // like x: [n, ...]; total has grown by the sum of y
 * }
 * }</pre>
 *
 * Inputs whose first axis is as long as that of the first input are sliced; others, such as
 * numbers, are given whole to every slice. How a backend cuts a batch depends on its size alone and
 * sums are taken in the order of the slices, so that results are the same bits for any number of
 * threads.
 */
public final class MicroBatched implements AutoCloseable {
  private final Device device;
  private final List<Tensor> totals;
  private final CapturedFunction.Body body;
  private final Map<Integer, Deque<Worker>> idle = new HashMap<>();
  private final List<Worker> all = new ArrayList<>();
  private Scope scope = Scope.detached("results of slices");
  private List<Tensor> results = List.of();
  private String captureFailure;

  /**
   * Captures nothing yet.
   *
   * @param totals to each of them one output of the function is added, the first ones; those that
   *     follow have the samples as their first axis
   */
  public MicroBatched(Device device, List<Tensor> totals, CapturedFunction.Body body) {
    this.device = device;
    this.totals = List.copyOf(totals);
    this.body = body;
  }

  /**
   * Calls the function.
   *
   * @param inputs the first not null; of the others any may be
   * @return its outputs with samples, for the whole batch: to be read before the next call and
   *     before the open scope is closed
   */
  public List<Tensor> run(Tensor... inputs) {
    int n = inputs[0].dim(0);
    if (Interpreter.current() != Direct.INSTANCE || captureFailure != null || n == 0) {
      return whole(inputs);
    }
    Cut cut = new Cut(inputs, n, device.backend().microBatches(n));
    Worker first = take(cut.rows(0));
    boolean fits;
    try (Scope _ = Scope.open("first slice")) {
      Tensor[] slice = cut.inputs(0);
      first.capture(slice);
      fits = first.pass.fits(slice);
    }
    give(cut.rows(0), first);
    if (first.pass.captured().isEmpty()) {
      captureFailure = first.pass.captureFailure().orElseThrow();
    }
    if (captureFailure != null || !fits) {
      return whole(inputs);
    }
    makeRoom(n, samples(first.pass.captured().get().outputs()));
    new Run(cut, device.backend()).all();
    return results;
  }

  private List<Tensor> whole(Tensor... inputs) {
    List<Tensor> outputs = List.of(body.apply(inputs));
    add(outputs);
    return samples(outputs);
  }

  private void add(List<Tensor> outputs) {
    for (int i = 0; i < totals.size(); i++) {
      Tensor total = totals.get(i);
      Ops.update(new Binary(Binary.Kind.ADD), new Tensor[] {total}, total, outputs.get(i));
    }
  }

  private List<Tensor> samples(List<Tensor> outputs) {
    return outputs.subList(totals.size(), outputs.size());
  }

  /** Inputs and where they are cut. */
  private record Cut(Tensor[] whole, int n, int slices) {
    int from(int slice) {
      return (int) ((long) slice * n / slices);
    }

    int rows(int slice) {
      return from(slice + 1) - from(slice);
    }

    Tensor[] inputs(int slice) {
      Tensor[] out = whole.clone();
      for (int i = 0; i < out.length; i++) {
        if (out[i] != null && out[i].shape().rank() > 0 && out[i].dim(0) == n) {
          out[i] = out[i].slice(0, from(slice), from(slice + 1));
        }
      }
      return out;
    }
  }

  /** One call. */
  private final class Run {
    private final Cut cut;
    private final Backend backend;
    private final AtomicInteger turn = new AtomicInteger();
    private volatile Throwable failure;

    Run(Cut cut, Backend backend) {
      this.cut = cut;
      this.backend = backend;
    }

    void all() {
      if (cut.slices < backend.workers()) {
        // The threads work together on each slice instead.
        for (int i = 0; i < cut.slices; i++) {
          slice(i);
        }
      } else {
        backend.parallelFor(cut.slices, this::slice);
      }
      if (failure instanceof RuntimeException e) {
        throw e;
      }
      if (failure instanceof Error e) {
        throw e;
      }
    }

    /** Throws nothing, for others may be waiting for this one's turn to end. */
    private void slice(int index) {
      Worker worker = take(cut.rows(index));
      try (Scope _ = Scope.open("slice")) {
        List<Tensor> outputs = failure == null ? compute(worker, cut.inputs(index)) : List.of();
        for (int i = totals.size(); i < outputs.size(); i++) {
          Tensor result = results.get(i - totals.size());
          result.slice(0, cut.from(index), cut.from(index + 1)).assign(outputs.get(i));
        }
        await(index);
        if (failure == null) {
          worker.addition.run();
        }
      } catch (Throwable t) {
        failure = t;
        await(index);
      } finally {
        turn.set(index + 1);
        give(cut.rows(index), worker);
      }
    }

    private List<Tensor> compute(Worker worker, Tensor... inputs) {
      synchronized (MicroBatched.this) {
        // The function need not be ready for several threads.
        worker.capture(inputs);
      }
      return worker.pass.run(inputs);
    }

    private void await(int index) {
      backend.await(() -> turn.get() >= index);
    }
  }

  /** What one thread needs for slices of one size. */
  private final class Worker {
    private final CapturedFunction pass = new CapturedFunction(device, body);
    private CapturedGraph addition;

    void capture(Tensor... inputs) {
      pass.capture(inputs);
      if (addition == null && pass.captured().isPresent()) {
        List<Tensor> outputs = pass.captured().get().outputs();
        addition =
            CapturedGraph.of(
                device,
                () -> {
                  MicroBatched.this.add(outputs);
                  return new Tensor[0];
                });
      }
    }

    void close() {
      if (addition != null) {
        addition.close();
      }
      pass.close();
    }
  }

  private synchronized Worker take(int rows) {
    Worker spare = idle.computeIfAbsent(rows, _ -> new ArrayDeque<>()).poll();
    if (spare == null) {
      spare = new Worker();
      all.add(spare);
    }
    return spare;
  }

  private synchronized void give(int rows, Worker worker) {
    idle.get(rows).push(worker);
  }

  private void makeRoom(int n, List<Tensor> outputs) {
    List<Shape> shapes = outputs.stream().map(output -> joined(output.shape(), n)).toList();
    if (results.stream().map(Tensor::shape).toList().equals(shapes)) {
      return;
    }
    scope.close();
    scope = Scope.detached("results of slices");
    results = new ArrayList<>();
    try (Scope _ = Scope.open("results")) {
      shapes.forEach(shape -> results.add(scope.adopt(device.zeros(shape.dims()))));
    }
  }

  private static Shape joined(Shape slice, int n) {
    int[] dims = slice.dims();
    dims[0] = n;
    return Shape.of(dims);
  }

  /** A captured slice, if there is one. */
  public Optional<CapturedGraph> captured() {
    return all.stream().flatMap(worker -> worker.pass.captured().stream()).findFirst();
  }

  /** Why the function cannot be captured; empty if it can, or was not called yet. */
  public Optional<String> captureFailure() {
    return Optional.ofNullable(captureFailure);
  }

  /** Frees all memory. */
  @Override
  public void close() {
    all.forEach(Worker::close);
    scope.close();
  }
}
