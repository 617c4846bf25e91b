// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/**
 * The gradient of {@link Conv2d} with respect to its weight: {@code (x[n, h, w, cin], dy[n, oh, ow,
 * cout]) → dweight[kernelHeight, kernelWidth, cin, cout]}.
 */
public record Conv2dWeightGradient(int stride, int padding, int kernelHeight, int kernelWidth)
    implements Convolution {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 2);
    Rule.floating(this, inputs);
    Rule.rank(this, inputs, 0, 4);
    Rule.rank(this, inputs, 1, 4);
    Shape x = inputs.get(0).shape();
    Shape dy = inputs.get(1).shape();
    Conv2d forward = new Conv2d(stride, padding);
    Rule.shape(
        this,
        inputs,
        1,
        "dy",
        x.dim(0),
        forward.outputSize(x.dim(1), kernelHeight),
        forward.outputSize(x.dim(2), kernelWidth),
        dy.dim(3));
    return Rule.one(inputs.get(0).withShape(kernelHeight, kernelWidth, x.dim(3), dy.dim(3)));
  }
}
