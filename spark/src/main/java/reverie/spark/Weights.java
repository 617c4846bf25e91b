// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.Serializable;
import java.util.List;
import reverie.autograd.nn.Parameter;
import reverie.rl.Policy;
import reverie.tensor.Device;
import reverie.tensor.Scope;

/**
 * The trained weights at some time, all in a row.
 *
 * @param version different for different weights of a fleet
 */
record Weights(long version, float[] values) implements Serializable {
  /** Those that a policy has. */
  static float[] of(Policy policy) {
    List<Parameter> parameters = policy.parameters().trainable();
    long size = parameters.stream().mapToLong(p -> p.shape().size()).sum();
    float[] values = new float[Math.toIntExact(size)];
    int at = 0;
    for (Parameter parameter : parameters) {
      float[] own = parameter.value().toFloats();
      System.arraycopy(own, 0, values, at, own.length);
      at += own.length;
    }
    return values;
  }

  /** Gives them to a policy. */
  void copyTo(Policy policy) {
    Device device = policy.device();
    int at = 0;
    try (Scope _ = Scope.open("weights")) {
      for (Parameter parameter : policy.parameters().trainable()) {
        float[] own = new float[Math.toIntExact(parameter.shape().size())];
        System.arraycopy(values, at, own, 0, own.length);
        parameter.value().assign(device.tensor(own, parameter.shape().dims()));
        at += own.length;
      }
    }
  }
}
