// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/**
 * The gradient of {@link Conv2d} with respect to its image: {@code (dy[n, oh, ow, cout], weight[kh,
 * kw, cin, cout]) → dx[n, height, width, cin]}. Also known as transposed convolution.
 */
public record Conv2dInputGradient(int stride, int padding, int height, int width)
    implements Convolution {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 2);
    Rule.floating(this, inputs);
    Rule.rank(this, inputs, 0, 4);
    Rule.rank(this, inputs, 1, 4);
    Shape dy = inputs.get(0).shape();
    Shape k = inputs.get(1).shape();
    Conv2d forward = new Conv2d(stride, padding);
    Rule.shape(
        this,
        inputs,
        0,
        "dy",
        dy.dim(0),
        forward.outputSize(height, k.dim(0)),
        forward.outputSize(width, k.dim(1)),
        k.dim(3));
    return Rule.one(inputs.get(0).withShape(dy.dim(0), height, width, k.dim(2)));
  }
}
