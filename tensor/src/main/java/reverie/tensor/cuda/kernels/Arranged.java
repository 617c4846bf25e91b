// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.Arrays;
import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.op.CustomOp;
import reverie.tensor.op.Op;

/**
 * An operation of a captured step whose kernels take more than its definition allows: keys, values
 * and biases of fewer images than there are, a bias of the residual ({@link Deferral}), and a
 * second bias for all images ({@link Repetition}).
 *
 * @param op what is carried out
 * @param deferred whether a bias of the residual follows its own inputs
 * @param shifted whether the last input is a second bias
 * @param types of the outputs
 */
record Arranged(Op op, boolean deferred, boolean shifted, List<TensorType> types)
    implements CustomOp {
  @Override
  public String name() {
    return op.name();
  }

  /** The inputs of the operation itself. */
  Tensor[] own(Tensor... inputs) {
    return Arrays.copyOf(inputs, inputs.length - (deferred ? 1 : 0) - (shifted ? 1 : 0));
  }

  /** What the operation gives with what else is added. */
  Sum with(Sum sum, Tensor... inputs) {
    int own = own(inputs).length;
    Sum whole = deferred ? sum.withResidualBias(inputs[own]) : sum;
    return shifted ? whole.with(inputs[inputs.length - 1]) : whole;
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
