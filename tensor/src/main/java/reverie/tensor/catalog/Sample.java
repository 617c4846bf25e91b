// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

import java.util.List;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;
import reverie.tensor.op.Op;

/**
 * One use of an operation: drives conformance tests, gradient checks and benchmarks.
 *
 * @param label the operation and its inputs' shapes, unique in the catalogue
 * @param tolerance how exact a float32 result must be
 * @param differentiable whether it is smooth around these inputs and small enough for a gradient
 *     check
 */
public record Sample(
    String label, Op op, List<Input> inputs, Tolerance tolerance, boolean differentiable) {
  /** The inputs on a device, the same values on every device. */
  public Tensor[] inputs(Device device, Arrangement arrangement) {
    Tensor[] tensors = new Tensor[inputs.size()];
    for (int i = 0; i < tensors.length; i++) {
      tensors[i] = inputs.get(i).tensor(device, Rng.of(1).fork(label).fork(i), arrangement);
    }
    return tensors;
  }

  /** Carries out the operation on a device, under the current interpreter. */
  public Tensor[] run(Device device, Tensor... on) {
    return Interpreter.current().apply(device, op, on);
  }

  /** The inputs on a device, contiguous. */
  public Tensor[] inputs(Device device) {
    return inputs(device, Arrangement.CONTIGUOUS);
  }

  @Override
  public String toString() {
    return label;
  }
}
