// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.vae;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import reverie.autograd.Tape;
import reverie.tensor.Scope;
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

  /**
   * The same without gradients: what a layer leaves behind is freed before the next, so that no
   * more than one layer's memory is needed at a time.
   */
  Tensor forwardFreeing(Tensor x) {
    Scope before = Scope.detached("layer");
    Tensor y = x;
    try (Scope outer = Scope.open("layers")) {
      for (UnaryOperator<Tensor> layer : layers) {
        Tensor input = y;
        Scope after = Scope.detached("layer");
        try (Scope _ = Scope.open("layer")) {
          y = after.adopt(Tape.noGradient(() -> layer.apply(input).contiguous()));
        } finally {
          before.close();
          before = after;
        }
      }
      return outer.keep(outer.adopt(y));
    } finally {
      before.close();
    }
  }
}
