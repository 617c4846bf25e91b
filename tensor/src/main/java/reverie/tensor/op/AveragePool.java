// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/** Means of {@code factor × factor} tiles of {@code [n, h, w, c]}; both sides must divide. */
public record AveragePool(int factor) implements Fused, Reduction {
  /** Checks the attribute. */
  public AveragePool {
    if (factor < 1) {
      throw new ReverieException("average_pool: expected factor ≥ 1, got " + factor);
    }
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    Rule.floating(this, inputs);
    Rule.rank(this, inputs, 0, 4);
    Shape x = inputs.getFirst().shape();
    Rule.require(
        x.dim(1) % factor == 0 && x.dim(2) % factor == 0,
        this,
        "sides that divide by " + factor,
        inputs);
    return Rule.one(
        inputs.getFirst().withShape(x.dim(0), x.dim(1) / factor, x.dim(2) / factor, x.dim(3)));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor x = inputs[0];
    return new Tensor[] {
      x.reshape(x.dim(0), x.dim(1) / factor, factor, x.dim(2) / factor, factor, x.dim(3)).mean(2, 4)
    };
  }
}
