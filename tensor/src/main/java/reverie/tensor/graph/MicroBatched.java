// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import java.lang.invoke.MethodHandles;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.Stream;
import reverie.tensor.Device;
import reverie.tensor.Direct;
import reverie.tensor.Interpreter;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Fill;
import reverie.tensor.spi.Backend;

/**
 * A function of a batch of independent samples, carried out on a few samples at a time:
 * micro-batches whose memory stays in the cache, each by one thread from beginning to end, several
 * at once. So threads wait for each other once in a batch, not after every operation. Micro-batches
 * of one size are {@linkplain CapturedFunction captured} once.
 *
 * <pre>{@code
 * record Batch(Tensor x) {}
 * record Squares(Tensor y) {}
 *
 * Tensor total = device.scalar(0);
 * try (var square = new MicroBatched<>(
 *     MethodHandles.lookup(), device, MicroBatched.Totals.of(total), (Batch in) -> {
 *       Tensor y = in.x().square();
 *       return new MicroBatched.Part<>(List.of(y.sum()), new Squares(y));
 *     })) {
 *   Tensor y = square.run(new Batch(x)).y(); // like x: [n, ...]; total is the sum of y
 * }
 * }</pre>
 *
 * Inputs whose first axis is as long as that of the first input are cut; others, such as numbers,
 * are given whole to every micro-batch. How a backend cuts a batch depends on its size alone and
 * sums are taken in the order of the micro-batches, so that results are the same bits for any
 * number of threads.
 */
public final class MicroBatched<I extends Record, O extends Record> implements AutoCloseable {
  /**
   * What the function gives for a micro-batch.
   *
   * @param sums one for each of the totals
   * @param samples tensors with the samples as their first axis, which are joined
   */
  public record Part<O extends Record>(List<Tensor> sums, O samples) {}

  /**
   * Where sums go: those of several micro-batches are added to what is there, those of a batch that
   * is not cut are written over it, by the operations that compute them if possible.
   */
  public interface Totals {
    /** One tensor for each sum. */
    List<Tensor> tensors();

    /** Comes before a call that adds to the tensors. */
    void beforeAdding();

    /** Comes before a call that writes over the tensors: what they hold is saved here, or lost. */
    void beforeWriting();

    /** Tensors that hold the sums of the last call alone. */
    static Totals of(Tensor... tensors) {
      return new OfLastCall(List.of(tensors));
    }
  }

  private record OfLastCall(List<Tensor> tensors) implements Totals {
    @Override
    public void beforeAdding() {
      tensors.forEach(t -> Ops.update(new Fill(0, t.shape()), new Tensor[] {t}));
    }

    @Override
    public void beforeWriting() {
      // Nothing is worth saving.
    }
  }

  /** Of a micro-batch; {@code whole} if it is the batch. */
  private record Size(int rows, boolean whole) {}

  private final Device device;
  private final Totals totals;
  private final Function<I, Part<O>> body;
  private final RecordTensors records;
  private final Map<Size, Deque<Worker>> idle = new HashMap<>();
  private final List<Worker> all = new ArrayList<>();
  private Scope scope = Scope.detached("results of micro-batches");
  private Tensor[] results = {};
  private String captureFailure;

  /**
   * A function that sums nothing up; captures nothing yet.
   *
   * @param lookup {@code MethodHandles.lookup()} of a class that sees both records
   */
  public MicroBatched(MethodHandles.Lookup lookup, Device device, Function<I, O> body) {
    this(lookup, device, Totals.of(), in -> new Part<>(List.of(), body.apply(in)));
  }

  /**
   * Captures nothing yet.
   *
   * @param lookup {@code MethodHandles.lookup()} of a class that sees both records
   * @param totals where the sums of micro-batches go
   */
  public MicroBatched(
      MethodHandles.Lookup lookup, Device device, Totals totals, Function<I, Part<O>> body) {
    this.records = new RecordTensors(lookup);
    this.device = device;
    this.totals = totals;
    this.body = body;
  }

  /**
   * Calls the function.
   *
   * @param inputs whose first tensor has the samples as its first axis
   * @return its outputs with samples, for the whole batch: to be read before the next call and
   *     before the open scope is closed
   */
  public O run(I inputs) {
    Tensor[] given = records.tensors(inputs);
    int n = samples(given);
    if (Interpreter.current() != Direct.INSTANCE || captureFailure != null || n == 0) {
      return whole(inputs);
    }
    Cut cut = new Cut(given, n, device.backend().microBatches(n));
    Worker first = take(cut.size(0));
    boolean fits;
    try (Scope _ = Scope.open("first micro-batch")) {
      I part = records.with(inputs, cut.inputs(0));
      first.capture(part);
      fits = first.pass.fits(part);
    }
    give(cut.size(0), first);
    if (first.pass.captured().isEmpty()) {
      captureFailure = first.pass.captureFailure().orElseThrow();
    }
    if (captureFailure != null || !fits) {
      return whole(inputs);
    }
    O like = first.pass.outputs().samples();
    makeRoom(n, records.tensors(like));
    if (cut.parts == 1) {
      totals.beforeWriting();
    } else {
      totals.beforeAdding();
    }
    new Run(inputs, cut, device.backend()).all();
    return records.with(like, results);
  }

  private static int samples(Tensor... given) {
    return Stream.of(given)
        .filter(Objects::nonNull)
        .findFirst()
        .orElseThrow(() ->
            new ReverieException("micro-batches: expected a tensor among the inputs, got none"))
        .dim(0);
  }

  private O whole(I inputs) {
    totals.beforeAdding();
    Part<O> outputs = body.apply(inputs);
    add(outputs.sums());
    return outputs.samples();
  }

  private void add(List<Tensor> sums) {
    for (int i = 0; i < sums.size(); i++) {
      Tensor total = totals.tensors().get(i);
      Ops.update(new Binary(Binary.Kind.ADD), new Tensor[] {total}, total, sums.get(i));
    }
  }

  /** The function, with its sums written to the totals. */
  private Part<O> written(I inputs) {
    Part<O> outputs = body.apply(inputs);
    for (int i = 0; i < outputs.sums().size(); i++) {
      totals.tensors().get(i).assign(outputs.sums().get(i));
    }
    return new Part<>(List.of(), outputs.samples());
  }

  /** Inputs and where they are cut. */
  private record Cut(Tensor[] whole, int n, int parts) {
    int from(int part) {
      return (int) ((long) part * n / parts);
    }

    private int rows(int part) {
      return from(part + 1) - from(part);
    }

    Size size(int part) {
      return new Size(rows(part), parts == 1);
    }

    Tensor[] inputs(int part) {
      Tensor[] out = whole.clone();
      for (int i = 0; i < out.length; i++) {
        if (out[i] != null && out[i].shape().rank() > 0 && out[i].dim(0) == n) {
          out[i] = out[i].slice(0, from(part), from(part + 1));
        }
      }
      return out;
    }
  }

  /** One call. */
  private final class Run {
    private final I inputs;
    private final Cut cut;
    private final Backend backend;
    private final AtomicInteger turn = new AtomicInteger();
    private volatile Throwable failure;

    Run(I inputs, Cut cut, Backend backend) {
      this.inputs = inputs;
      this.cut = cut;
      this.backend = backend;
    }

    void all() {
      if (cut.parts < backend.workers()) {
        // The threads work together on each micro-batch instead.
        for (int i = 0; i < cut.parts; i++) {
          part(i);
        }
      } else {
        backend.parallelFor(cut.parts, this::part);
      }
      if (failure instanceof RuntimeException e) {
        throw e;
      }
      if (failure instanceof Error e) {
        throw e;
      }
    }

    /** Throws nothing, for others may be waiting for this one's turn to end. */
    private void part(int index) {
      Worker worker = take(cut.size(index));
      try (Scope _ = Scope.open("micro-batch")) {
        if (failure == null) {
          Tensor[] outputs = records.tensors(compute(worker, cut.inputs(index)));
          for (int i = 0; i < outputs.length; i++) {
            if (outputs[i] != null) {
              results[i].slice(0, cut.from(index), cut.from(index + 1)).assign(outputs[i]);
            }
          }
        }
        await(index);
        if (failure == null && worker.addition != null) {
          worker.addition.run();
        }
      } catch (Throwable t) {
        failure = t;
        await(index);
      } finally {
        turn.set(index + 1);
        give(cut.size(index), worker);
      }
    }

    private O compute(Worker worker, Tensor... tensors) {
      I part = records.with(inputs, tensors);
      synchronized (MicroBatched.this) {
        // The function need not be ready for several threads.
        worker.capture(part);
      }
      return worker.pass.run(part).samples();
    }

    private void await(int index) {
      backend.await(() -> turn.get() >= index);
    }
  }

  /** What one thread needs for micro-batches of one size. */
  private final class Worker {
    private final CapturedFunction<I, Part<O>> pass;

    /** Adds to the totals; null if the function writes them. */
    private CapturedGraph addition;

    Worker(boolean whole) {
      pass = new CapturedFunction<>(records, device, whole ? MicroBatched.this::written : body);
    }

    void capture(I inputs) {
      pass.capture(inputs);
      if (addition == null && pass.captured().isPresent() && !pass.outputs().sums().isEmpty()) {
        List<Tensor> sums = pass.outputs().sums();
        addition =
            CapturedGraph.of(
                device,
                () -> {
                  add(sums);
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

  private synchronized Worker take(Size size) {
    Worker spare = idle.computeIfAbsent(size, _ -> new ArrayDeque<>()).poll();
    if (spare == null) {
      spare = new Worker(size.whole);
      all.add(spare);
    }
    return spare;
  }

  private synchronized void give(Size size, Worker worker) {
    idle.get(size).push(worker);
  }

  private void makeRoom(int n, Tensor... outputs) {
    List<Shape> shapes =
        Stream.of(outputs).map(t -> t == null ? null : joined(t.shape(), n)).toList();
    if (shapes.equals(Stream.of(results).map(t -> t == null ? null : t.shape()).toList())) {
      return;
    }
    scope.close();
    scope = Scope.detached("results of micro-batches");
    try (Scope _ = Scope.open("results")) {
      results =
          shapes.stream()
              .map(shape -> shape == null ? null : scope.adopt(device.zeros(shape.dims())))
              .toArray(Tensor[]::new);
    }
  }

  private static Shape joined(Shape part, int n) {
    int[] dims = part.dims();
    dims[0] = n;
    return Shape.of(dims);
  }

  /** A captured micro-batch, if there is one. */
  public Optional<CapturedGraph> captured() {
    return all.stream().flatMap(worker -> worker.pass.captured().stream()).findFirst();
  }

  /** Why the function cannot be captured; empty if it can, or was not called yet. */
  public Optional<String> captureFailure() {
    return Optional.ofNullable(captureFailure);
  }

  /**
   * As {@link CapturedGraph#discard}, between two calls; the outputs of the last call keep their
   * values.
   */
  public synchronized void discard() {
    all.forEach(worker -> worker.pass.discard());
  }

  /** Frees all memory. */
  @Override
  public void close() {
    all.forEach(Worker::close);
    scope.close();
  }
}
