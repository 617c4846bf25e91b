// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.DType;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/**
 * An operation without inputs. It makes a tensor on the device on which it is carried out, in that
 * device's floating-point type.
 */
public sealed interface Creation extends Op permits Fill, RandomNormal {
  /** The shape of the result. */
  Shape shape();

  @Override
  default List<TensorType> infer(DType floatType, List<TensorType> inputs) {
    Rule.count(this, inputs, 0, 0);
    return Rule.one(new TensorType(floatType, shape()));
  }

  /** The type on a device that computes in float32. */
  @Override
  default List<TensorType> infer(List<TensorType> inputs) {
    return infer(DType.F32, inputs);
  }
}
