// SPDX-License-Identifier: Apache-2.0
package reverie.bench.step;

import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.unet.UNet;

/**
 * Models with random weights that the device draws itself: 860 million take the host half a minute.
 */
public final class Weights {
  private Weights() {}

  /**
   * A model of a subject: normal numbers of variance 1/(3·fan-in), as large as PyTorch's first
   * weights; norms are ones and biases zeros.
   */
  public static UNet random(Subject subject, Device device) {
    Parameters parameters = Parameters.zeros(device);
    try {
      UNet model = new UNet(subject.config(), parameters);
      Rng rng = Rng.of(1);
      for (Parameter p : model.parameters().all()) {
        if (p.name().endsWith(".weight")) {
          try (Scope _ = Scope.open("weights")) {
            p.value().assign(first(p, rng.fork(p.name()), device));
          }
        }
      }
      return model;
    } catch (RuntimeException e) {
      parameters.close();
      throw e;
    }
  }

  private static Tensor first(Parameter p, Rng rng, Device device) {
    int[] dims = p.value().shape().dims();
    if (dims.length == 1) {
      return device.full(1, dims);
    }
    // In a file the first axis is that of the outputs.
    double fanIn = (double) p.value().size() / p.fileShape().dim(0);
    return rng.normal(device, dims).mul(1 / Math.sqrt(3 * fanIn));
  }
}
