// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.DType;
import reverie.tensor.TensorType;

/**
 * An operation: a value that holds its attributes, knows the types of its outputs and checks its
 * inputs. Sealed, so that every table over operations (gradients, kernels, samples) is a switch
 * that the compiler finds incomplete when an operation is added.
 */
public sealed interface Op
    permits Convolution, Creation, DataMovement, ElementWise, Fused, MatMul, Reduction, View {
  /** The name in errors, profiles and documentation. */
  default String name() {
    return Rule.snakeCase(getClass().getSimpleName());
  }

  /**
   * The types of the outputs.
   *
   * @throws reverie.tensor.ReverieException if the inputs do not fit, with all their types
   */
  List<TensorType> infer(List<TensorType> inputs);

  /**
   * The types of the outputs on a device that computes in {@code floatType}.
   *
   * @throws reverie.tensor.ReverieException if the inputs do not fit, with all their types
   */
  default List<TensorType> infer(DType floatType, List<TensorType> inputs) {
    return infer(inputs);
  }

  /**
   * Whether kernels read inputs through their strides, unless a backend says otherwise; inputs are
   * made contiguous where they do not.
   */
  default boolean stridedInputs() {
    return false;
  }

  /**
   * Whether the first output may be the very memory of an input of its type: every kernel reads an
   * element for the last time before it writes the element in its place.
   */
  default boolean mayOverwrite() {
    return false;
  }
}
