// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.debug;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Stream;
import reverie.tensor.Device;
import reverie.tensor.Direct;
import reverie.tensor.Interpreter;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;
import reverie.tensor.op.Creation;
import reverie.tensor.op.Op;

/**
 * Stops at the operation where a NaN or an infinity first appears: whose inputs were finite and
 * whose output is not. Reads every value of every operation, so it is for hunting, not for every
 * day.
 */
public final class NanGuard implements Interpreter {
  private final Interpreter next;

  /** A guard round another interpreter. */
  public NanGuard(Interpreter next) {
    this.next = next;
  }

  @Override
  public Tensor[] apply(Device device, Op op, Tensor... inputs) {
    boolean sound = sound(op, inputs);
    Tensor[] outputs = next.apply(device, op, inputs);
    if (sound) {
      check(op, inputs, outputs);
    }
    return outputs;
  }

  @Override
  public void update(Op op, Tensor[] targets, Tensor... inputs) {
    boolean sound = sound(op, inputs);
    next.update(op, targets, inputs);
    if (sound) {
      check(op, inputs, targets);
    }
  }

  /** What has no inputs is what the caller asked for, an infinity included. */
  private static boolean sound(Op op, Tensor... inputs) {
    return !(op instanceof Creation) && Stream.of(inputs).allMatch(t -> badElement(t) < 0);
  }

  private static void check(Op op, Tensor[] inputs, Tensor[] outputs) {
    for (int i = 0; i < outputs.length; i++) {
      int element = badElement(outputs[i]);
      if (element >= 0) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "%s: expected finite values from finite inputs %s, got %s at element %d of output %d %s",
                op.name(),
                Arrays.stream(inputs).map(Tensor::type).toList(),
                values(outputs[i])[element],
                element,
                i,
                outputs[i].type()),
            "look at the largest and smallest inputs: " + op);
      }
    }
  }

  /** The first element that is not finite, or −1. */
  private static int badElement(Tensor tensor) {
    if (!tensor.dtype().isFloating()) {
      return -1;
    }
    double[] values = values(tensor);
    for (int i = 0; i < values.length; i++) {
      if (!Double.isFinite(values[i])) {
        return i;
      }
    }
    return -1;
  }

  /** Reading makes copies of views, which are not to be guarded in turn. */
  private static double[] values(Tensor tensor) {
    return Interpreter.with(Direct.INSTANCE, tensor::toDoubles);
  }
}
