// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.vae;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import reverie.tensor.Tensor;

/** Layers one after another. */
final class Sequence {
  private final List<UnaryOperator<Tensor>> layers = new ArrayList<>();

  void add(UnaryOperator<Tensor> layer) {
    layers.add(layer);
  }

  Tensor forward(Tensor x) {
    Tensor y = x;
    for (UnaryOperator<Tensor> layer : layers) {
      y = layer.apply(y);
    }
    return y;
  }
}
