// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.Arrays;
import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.op.CustomOp;

/**
 * Linear layers of the same input as one product: {@code (x[…, in], weights…, biases…) → y[…, all
 * outputs]}, where each layer's result is some columns ({@link Joining}).
 *
 * @param layers how many
 * @param biased whether they have biases
 */
record JoinedLayers(int layers, boolean biased) implements CustomOp {
  @Override
  public String name() {
    return "linear";
  }

  Tensor[] weights(Tensor... inputs) {
    return Arrays.copyOfRange(inputs, 1, 1 + layers);
  }

  Tensor[] biases(Tensor... inputs) {
    return Arrays.copyOfRange(inputs, 1 + layers, inputs.length);
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    int outputs = inputs.subList(1, 1 + layers).stream().mapToInt(w -> w.shape().dim(0)).sum();
    TensorType x = inputs.getFirst();
    return List.of(x.withShape(x.shape().with(-1, outputs)));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    throw new IllegalStateException(name() + " was arranged for this backend alone");
  }
}
