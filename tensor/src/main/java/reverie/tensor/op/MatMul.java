// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.Arrays;
import java.util.List;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/**
 * Matrix product {@code […, m, k] × […, k, n] → […, m, n]}; leading dimensions broadcast.
 *
 * @param gradient the result is a gradient: factors of 16 bits are exact enough
 */
public record MatMul(boolean gradient) implements Op {
  /** An exact one. */
  public MatMul() {
    this(false);
  }

  @Override
  public boolean stridedInputs() {
    return true;
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 2);
    Rule.floating(this, inputs);
    Rule.rankAtLeast(this, inputs, 0, 2);
    Rule.rankAtLeast(this, inputs, 1, 2);
    Shape a = inputs.get(0).shape();
    Shape b = inputs.get(1).shape();
    Rule.require(a.dim(-1) == b.dim(-2), this, "[…, m, k] and […, k, n] with the same k", inputs);
    Shape batch = Shape.broadcast(name(), batch(a), batch(b));
    int[] out = Arrays.copyOf(batch.dims(), batch.rank() + 2);
    out[out.length - 2] = a.dim(-2);
    out[out.length - 1] = b.dim(-1);
    return Rule.one(inputs.getFirst().withShape(out));
  }

  private static Shape batch(Shape shape) {
    return Shape.of(Arrays.copyOf(shape.dims(), shape.rank() - 2));
  }
}
