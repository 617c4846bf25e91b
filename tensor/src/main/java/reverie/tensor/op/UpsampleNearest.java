// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/** Each pixel of {@code [n, h, w, c]} repeated {@code factor} times in both directions. */
public record UpsampleNearest(int factor) implements DataMovement, Fused {
  /** Checks the attribute. */
  public UpsampleNearest {
    if (factor < 1) {
      throw new ReverieException("upsample_nearest: expected factor ≥ 1, got " + factor);
    }
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    Rule.floating(this, inputs);
    Rule.rank(this, inputs, 0, 4);
    Shape x = inputs.getFirst().shape();
    return Rule.one(
        inputs.getFirst().withShape(x.dim(0), x.dim(1) * factor, x.dim(2) * factor, x.dim(3)));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor x = inputs[0];
    int n = x.dim(0);
    int h = x.dim(1);
    int w = x.dim(2);
    int c = x.dim(3);
    return new Tensor[] {
      x.reshape(n, h, 1, w, 1, c)
          .expand(n, h, factor, w, factor, c)
          .reshape(n, h * factor, w * factor, c)
    };
  }
}
