// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.op.CustomOp;
import reverie.tensor.op.Op;

/**
 * An operation of a captured step whose kernels take more than its definition allows: keys, values
 * and biases of fewer images than there are, and a second bias for all images ({@link Repetition}).
 *
 * @param op what is carried out
 * @param shifted whether the last input is such a bias
 * @param types of the outputs
 */
record Arranged(Op op, boolean shifted, List<TensorType> types) implements CustomOp {
  @Override
  public String name() {
    return op.name();
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    return types;
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    throw new IllegalStateException(name() + " was arranged for this backend alone");
  }
}
