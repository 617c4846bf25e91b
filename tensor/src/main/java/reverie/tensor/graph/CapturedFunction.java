// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import reverie.tensor.CaptureException;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Direct;
import reverie.tensor.Interpreter;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * A function of tensors that is called again and again: {@linkplain CapturedGraph captured} at its
 * first call, if it can be. Calls with inputs of other types than the first, a last smaller batch
 * for instance, and functions that cannot be captured are carried out as they are, with the same
 * results; so are calls under another {@link Interpreter} than the direct one.
 *
 * <pre>{@code
 * try (CapturedFunction forward = new CapturedFunction(device, in -> new Tensor[] {model(in[0], in[1])})) {
 *   for (Batch batch : batches) {
 *     float[] y = forward.run(batch.x(), batch.y()).getFirst().toFloats();
 *   }
 * }
 * }</pre>
 *
 * The function must depend on its inputs and on the values of tensors alone.
 */
public final class CapturedFunction implements AutoCloseable {
  /** What is repeated. */
  @FunctionalInterface
  public interface Body {
    /** The outputs for these inputs, which are null where null was given. */
    Tensor[] apply(Tensor... inputs);
  }

  private final Device device;
  private final Body body;
  private final Scope scope = Scope.detached("inputs of a captured step");
  private Tensor[] own;
  private CapturedGraph captured;
  private String captureFailure;

  /** Captures nothing yet. */
  public CapturedFunction(Device device, Body body) {
    this.device = device;
    this.body = body;
  }

  /**
   * Calls the function.
   *
   * @param inputs may be null
   * @return its outputs: to be read before the next call and before the open scope is closed
   */
  public List<Tensor> run(Tensor... inputs) {
    if (Interpreter.current() != Direct.INSTANCE) {
      // Whoever records, guards or captures wants to see the operations.
      return List.of(body.apply(inputs));
    }
    capture(inputs);
    if (captured == null || !fits(inputs)) {
      return List.of(body.apply(inputs));
    }
    for (int i = 0; i < inputs.length; i++) {
      if (inputs[i] != null) {
        own[i].assign(inputs[i]);
      }
    }
    captured.run();
    return captured.outputs();
  }

  /** Captures the function for inputs like these if it has not been tried yet. */
  void capture(Tensor... inputs) {
    if (own != null) {
      return;
    }
    own = new Tensor[inputs.length];
    try (Scope _ = Scope.open("inputs")) {
      for (int i = 0; i < own.length; i++) {
        own[i] = inputs[i] == null ? null : scope.adopt(like(inputs[i]));
      }
    }
    try {
      captured = CapturedGraph.of(device, () -> body.apply(own.clone()));
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
  boolean fits(Tensor... inputs) {
    return inputs.length == own.length
        && IntStream.range(0, own.length)
            .allMatch(i ->
                inputs[i] == null
                    ? own[i] == null
                    : own[i] != null && inputs[i].type().equals(own[i].type()));
  }

  /** The captured step; empty before the first call, or if it cannot be captured. */
  public Optional<CapturedGraph> captured() {
    return Optional.ofNullable(captured);
  }

  /** Why the function cannot be captured; empty if it can, or was not called yet. */
  public Optional<String> captureFailure() {
    return Optional.ofNullable(captureFailure);
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
