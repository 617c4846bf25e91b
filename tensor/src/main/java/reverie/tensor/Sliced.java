// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import reverie.tensor.op.Binary;
import reverie.tensor.spi.Backend;

/**
 * A function of a batch whose samples do not meet, carried out on a few samples at a time: slices
 * whose memory stays in the cache, each by one thread from beginning to end, several at once. So
 * threads wait for each other once in a batch, not after every operation. Slices of one size are
 * {@linkplain Repeated captured} once.
 *
 * <pre>{@code
 * try (Sliced pass = new Sliced(device, 1, in -> new Tensor[] {model(in[0]), model(in[0]).sum()})) {
 *   List<Tensor> out = pass.run(x); // x: [n, ...]
 *   Tensor y = out.get(0);          // [n, ...]
 *   Tensor total = out.get(1);      // the sum over all slices
 * }
 * }</pre>
 *
 * Inputs whose first axis is as long as that of the first input are sliced; others, such as
 * numbers, are given whole to every slice. How a batch is cut depends on its size alone and sums
 * are taken in the order of the slices, so that results are the same bits for any number of
 * threads.
 */
public final class Sliced implements AutoCloseable {
  /** Samples of a slice: enough for matrix products, few enough for the cache. */
  private static final int MOST = 8;

  private static final int FEW = 4;

  /** So many slices even of a small batch, for several threads. */
  private static final int WANTED = 4;

  private static final int SPINS = 1_000;
  private static final long NAP_NANOS = 20_000;

  private final Device device;
  private final int joined;
  private final Repeated.Body body;
  private final Map<Integer, Deque<Repeated>> idle = new HashMap<>();
  private final List<Repeated> all = new ArrayList<>();
  private Scope scope = Scope.detached("results of slices");
  private List<Tensor> results = List.of();
  private String obstacle;

  /**
   * Captures nothing yet.
   *
   * @param joined how many of the function's outputs have the samples as their first axis, and are
   *     laid one after another; those that follow are summed
   */
  public Sliced(Device device, int joined, Repeated.Body body) {
    this.device = device;
    this.joined = joined;
    this.body = body;
  }

  /**
   * Calls the function.
   *
   * @param inputs the first not null; of the others any may be
   * @return its outputs for the whole batch: to be read before the next call and before the open
   *     scope is closed
   */
  public List<Tensor> run(Tensor... inputs) {
    int n = inputs[0].dim(0);
    if (Interpreter.current() != Direct.INSTANCE || obstacle != null || n == 0) {
      return List.of(body.apply(inputs));
    }
    Cut cut = new Cut(inputs, n, slices(n));
    Repeated first = take(cut.rows(0));
    try (Scope _ = Scope.open("first slice")) {
      first.capture(cut.inputs(0));
    }
    give(cut.rows(0), first);
    if (first.captured().isEmpty()) {
      obstacle = first.obstacle().orElseThrow();
      return List.of(body.apply(inputs));
    }
    makeRoom(n, first.captured().get().outputs());
    new Run(cut, device.backend()).all();
    return results;
  }

  /** Into how many slices a batch of n samples is cut. */
  public static int slices(int n) {
    return Math.max((n + MOST - 1) / MOST, Math.min(WANTED, (n + FEW - 1) / FEW));
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
      if (cut.slices < backend.lanes()) {
        // The threads work together on each slice instead.
        for (int i = 0; i < cut.slices; i++) {
          slice(i);
        }
      } else {
        backend.together(cut.slices, this::slice);
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
      Repeated pass = take(cut.rows(index));
      try (Scope _ = Scope.open("slice")) {
        List<Tensor> outputs = failure == null ? compute(pass, cut.inputs(index)) : List.of();
        await(index);
        if (failure == null) {
          collect(index, outputs);
        }
      } catch (Throwable t) {
        failure = t;
        await(index);
      } finally {
        turn.set(index + 1);
        give(cut.rows(index), pass);
      }
    }

    private List<Tensor> compute(Repeated pass, Tensor... inputs) {
      synchronized (Sliced.this) {
        // The function need not be ready for several threads.
        pass.capture(inputs);
      }
      return pass.run(inputs);
    }

    private void await(int index) {
      for (int i = 0; turn.get() < index; i++) {
        if (i < SPINS) {
          Thread.onSpinWait();
        } else {
          LockSupport.parkNanos(NAP_NANOS);
        }
      }
    }

    private void collect(int index, List<Tensor> outputs) {
      for (int i = 0; i < outputs.size(); i++) {
        Tensor result = results.get(i);
        if (i < joined) {
          result.slice(0, cut.from(index), cut.from(index + 1)).assign(outputs.get(i));
        } else if (index == 0) {
          result.assign(outputs.get(i));
        } else {
          Ops.update(new Binary(Binary.Kind.ADD), new Tensor[] {result}, result, outputs.get(i));
        }
      }
    }
  }

  private synchronized Repeated take(int rows) {
    Repeated spare = idle.computeIfAbsent(rows, _ -> new ArrayDeque<>()).poll();
    if (spare == null) {
      spare = new Repeated(device, body);
      all.add(spare);
    }
    return spare;
  }

  private synchronized void give(int rows, Repeated pass) {
    idle.get(rows).push(pass);
  }

  private void makeRoom(int n, List<Tensor> outputs) {
    boolean fits =
        results.size() == outputs.size() && (joined == 0 || results.getFirst().dim(0) == n);
    if (fits) {
      return;
    }
    scope.close();
    scope = Scope.detached("results of slices");
    results = new ArrayList<>();
    try (Scope _ = Scope.open("results")) {
      for (int i = 0; i < outputs.size(); i++) {
        int[] dims = outputs.get(i).shape().dims();
        if (i < joined) {
          dims[0] = n;
        }
        results.add(scope.adopt(device.zeros(dims)));
      }
    }
  }

  /** A captured slice, if there is one. */
  public Optional<Captured> captured() {
    return all.stream().flatMap(pass -> pass.captured().stream()).findFirst();
  }

  /** Why the function cannot be captured; empty if it can, or was not called yet. */
  public Optional<String> obstacle() {
    return Optional.ofNullable(obstacle);
  }

  /** Frees all memory. */
  @Override
  public void close() {
    all.forEach(Repeated::close);
    scope.close();
  }
}
