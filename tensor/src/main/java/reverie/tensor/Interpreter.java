// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.util.function.Supplier;
import reverie.tensor.op.Op;

/**
 * Who carries out operations: {@link Direct} computes; others record, guard, measure or compare and
 * pass on to the one they wrap. The current one is bound to the running code, not to a thread or an
 * object:
 *
 * <pre>{@code
 * Tensor y = Interpreter.with(new NanGuard(Interpreter.current()), () -> model.forward(x));
 * }</pre>
 */
public interface Interpreter {
  /**
   * Carries out an operation and returns its outputs.
   *
   * @param device where; all inputs live there
   */
  Tensor[] apply(Device device, Op op, Tensor... inputs);

  /** Carries out an operation that writes into existing tensors, which may be inputs too. */
  void update(Op op, Tensor[] targets, Tensor... inputs);

  /** The interpreter of the running code; {@link Direct} when none was set. */
  static Interpreter current() {
    return Current.VALUE.orElse(Direct.INSTANCE);
  }

  /** Runs {@code body} with another interpreter. */
  static <T> T with(Interpreter interpreter, Supplier<T> body) {
    return ScopedValue.where(Current.VALUE, interpreter).call(body::get);
  }

  /** Holds the binding. */
  final class Current {
    private static final ScopedValue<Interpreter> VALUE = ScopedValue.newInstance();

    private Current() {}
  }
}
