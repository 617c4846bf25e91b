// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.Arrays;
import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.op.CustomOp;
import reverie.tensor.op.Op;

/**
 * A layer whose bias and residual are added by the norm that reads it: {@code (inputs of the layer,
 * gamma, beta) → (x, outputs of the norm)} ({@link Completion}).
 *
 * @param layer linear, a feed-forward network or a convolution
 * @param norm of groups or of layers
 * @param kept whether x is read by others as float32; it is not written otherwise
 * @param types of the outputs
 */
record Completed(Op layer, Op norm, boolean kept, List<TensorType> types) implements CustomOp {
  @Override
  public String name() {
    return layer.name() + " and " + norm.name();
  }

  /** The same with nobody who reads x as float32. */
  Completed withoutX() {
    return new Completed(layer, norm, false, types);
  }

  static Tensor[] ofLayer(Tensor... inputs) {
    return Arrays.copyOf(inputs, inputs.length - 2);
  }

  static Tensor[] parameters(Tensor... inputs) {
    return Arrays.copyOfRange(inputs, inputs.length - 2, inputs.length);
  }

  Tensor[] ofNorm(Tensor... outputs) {
    return Arrays.copyOfRange(outputs, 1, types.size());
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
