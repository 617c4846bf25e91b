// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import java.lang.invoke.MethodHandles;
import java.util.Iterator;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import reverie.tensor.CaptureException;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Direct;
import reverie.tensor.Interpreter;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * A function from a record of tensors to another that is called again and again: {@linkplain
 * CapturedGraph captured} at its first call, if it can be. Calls with inputs of other types than
 * the first, a last smaller batch for instance, and functions that cannot be captured are carried
 * out as they are, with the same results; so are calls under another {@link Interpreter} than the
 * direct one.
 *
 * <pre>{@code
 * record Inputs(Tensor x, Tensor y) {}
 * record Outputs(Tensor loss) {}
 *
 * try (var step = new CapturedFunction<>(MethodHandles.lookup(), device,
 *     (Inputs in) -> new Outputs(loss(in.x(), in.y())))) {
 *   for (Batch batch : batches) {
 *     double loss = step.run(new Inputs(batch.x(), batch.y())).loss().item();
 *   }
 * }
 * }</pre>
 *
 * A component of these records is a tensor, a list of tensors or another such record, and may be
 * null. The function must depend on its inputs and on the values of tensors alone.
 */
public final class CapturedFunction<I extends Record, O extends Record> implements AutoCloseable {
  private final Device device;
  private final Function<I, O> body;
  private final RecordTensors records;
  private final Scope scope = Scope.detached("inputs of a captured step");
  private Tensor[] own;
  private CapturedGraph captured;
  private O outputs;
  private String captureFailure;

  /**
   * Captures nothing yet.
   *
   * @param lookup {@code MethodHandles.lookup()} of a class that sees both records
   */
  public CapturedFunction(MethodHandles.Lookup lookup, Device device, Function<I, O> body) {
    this(new RecordTensors(lookup), device, body);
  }

  CapturedFunction(RecordTensors records, Device device, Function<I, O> body) {
    this.records = records;
    this.device = device;
    this.body = body;
  }

  /**
   * Calls the function.
   *
   * @return its outputs: to be read before the next call and before the open scope is closed
   */
  public O run(I inputs) {
    if (Interpreter.current() != Direct.INSTANCE) {
      // Whoever records, guards or captures wants to see the operations.
      return body.apply(inputs);
    }
    capture(inputs);
    Tensor[] given = records.tensors(inputs);
    if (captured == null || !fits(given)) {
      return body.apply(inputs);
    }
    for (int i = 0; i < given.length; i++) {
      if (given[i] != null) {
        own[i].assign(given[i]);
      }
    }
    captured.run();
    return outputs;
  }

  /** Captures the function for inputs like these if it has not been tried yet. */
  void capture(I inputs) {
    if (own != null) {
      return;
    }
    Tensor[] given = records.tensors(inputs);
    own = new Tensor[given.length];
    try (Scope _ = Scope.open("inputs")) {
      for (int i = 0; i < own.length; i++) {
        own[i] = given[i] == null ? null : scope.adopt(like(given[i]));
      }
    }
    try {
      I standing = records.with(inputs, own);
      AtomicReference<O> traced = new AtomicReference<>();
      captured =
          CapturedGraph.of(
              device,
              () -> {
                traced.set(body.apply(standing));
                return Stream.of(records.tensors(traced.get()))
                    .filter(Objects::nonNull)
                    .toArray(Tensor[]::new);
              });
      Iterator<Tensor> placed = captured.outputs().iterator();
      outputs =
          records.with(
              traced.get(),
              Stream.of(records.tensors(traced.get()))
                  .map(t -> t == null ? null : placed.next())
                  .toArray(Tensor[]::new));
    } catch (CaptureException e) {
      captureFailure = e.getMessage();
    }
  }

  private static Tensor like(Tensor t) {
    int[] dims = t.shape().dims();
    return t.dtype() == DType.I32
        ? t.device().indices(new int[Math.toIntExact(t.size())], dims)
        : t.device().zeros(dims);
  }

  /** Whether inputs are like those for which the function was captured. */
  boolean fits(I inputs) {
    return fits(records.tensors(inputs));
  }

  private boolean fits(Tensor... given) {
    return given.length == own.length
        && IntStream.range(0, own.length)
            .allMatch(i ->
                given[i] == null
                    ? own[i] == null
                    : own[i] != null && given[i].type().equals(own[i].type()));
  }

  /** What the captured step gives; null before it is captured. */
  O outputs() {
    return outputs;
  }

  /** The captured step; empty before the first call, or if it cannot be captured. */
  public Optional<CapturedGraph> captured() {
    return Optional.ofNullable(captured);
  }

  /** Why the function cannot be captured; empty if it can, or was not called yet. */
  public Optional<String> captureFailure() {
    return Optional.ofNullable(captureFailure);
  }

  /** As {@link CapturedGraph#discard}. */
  void discard() {
    if (captured != null) {
      captured.discard();
    }
  }

  /** Frees the memory of the captured step. */
  @Override
  public void close() {
    if (captured != null) {
      captured.close();
    }
    scope.close();
  }
}
