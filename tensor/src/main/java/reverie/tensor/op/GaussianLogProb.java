// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * Log-density under N(mean, sigma²) as the mean over a sample's elements: {@code (x[n, …], mean[n,
 * …], sigma[n]) → [n]}.
 *
 * <pre>{@code −(x−mean)²/(2σ²) − log σ − ½·log 2π }</pre>
 */
public record GaussianLogProb() implements Fused, Reduction {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 3, 3);
    Rule.floating(this, inputs);
    Rule.rankAtLeast(this, inputs, 0, 2);
    Rule.sameType(this, inputs, 0, 1);
    Rule.shape(this, inputs, 2, "sigma", inputs.get(0).shape().dim(0));
    return Rule.one(inputs.get(2));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor sigma = inputs[2];
    int n = sigma.dim(0);
    int elements = n == 0 ? 1 : Math.toIntExact(inputs[0].size() / n);
    Tensor squares = inputs[0].sub(inputs[1]).square().reshape(n, elements).mean(1);
    return new Tensor[] {
      squares.div(sigma.square()).mul(-0.5).sub(sigma.log()).sub(0.5 * Math.log(2 * Math.PI))
    };
  }
}
