// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Device;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/** A tensor of one value. */
public record Fill(Device device, double value, Shape shape) implements Op {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 0, 0);
    return Rule.one(new TensorType(device.floatType(), shape));
  }
}
