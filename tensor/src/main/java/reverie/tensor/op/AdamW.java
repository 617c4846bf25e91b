// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * One step of AdamW (Loshchilov and Hutter 2019, algorithm 2): {@code (p, g, m, v, control[4]) →
 * (p', m', v')}, all of p's shape. {@code control} holds learning rate, 1−β₁ᵗ, 1−β₂ᵗ and a factor
 * for the gradient, so that a captured step can be replayed with other values.
 *
 * <pre>{@code
 * m' = β₁m + (1−β₁)g      v' = β₂v + (1−β₂)g²
 * p' = p − lr·(m'/(1−β₁ᵗ) / (√(v'/(1−β₂ᵗ)) + ε) + λp)
 * }</pre>
 */
public record AdamW(double beta1, double beta2, double epsilon, double weightDecay)
    implements ParameterUpdate, Fused {
  /** False: it updates parameters in place, which are contiguous. */
  @Override
  public boolean stridedInputs() {
    return false;
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 5, 5);
    Rule.floating(this, inputs);
    for (int i = 1; i < 4; i++) {
      Rule.sameType(this, inputs, 0, i);
    }
    Rule.shape(this, inputs, 4, "control", 4);
    return List.of(inputs.getFirst(), inputs.getFirst(), inputs.getFirst());
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor p = inputs[0];
    Tensor[] control = new Tensor[4];
    for (int i = 0; i < 4; i++) {
      control[i] = inputs[4].slice(0, i, i + 1).reshape();
    }
    Tensor g = inputs[1].mul(control[3]);
    Tensor m = inputs[2].mul(beta1).add(g.mul(1 - beta1));
    Tensor v = inputs[3].mul(beta2).add(g.square().mul(1 - beta2));
    Tensor denominator = v.div(control[2]).sqrt().add(epsilon);
    Tensor step = m.div(control[1]).div(denominator).add(p.mul(weightDecay));
    return new Tensor[] {p.sub(step.mul(control[0])), m, v};
  }
}
