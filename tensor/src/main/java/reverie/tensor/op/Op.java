// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.TensorType;

/**
 * An operation: a value that holds its attributes, knows the types of its outputs and checks its
 * inputs. Sealed, so that every table over operations (gradients, kernels, samples) is a switch
 * that the compiler finds incomplete when an operation is added.
 */
public sealed interface Op
    permits Affine,
        Binary,
        Clamp,
        Concat,
        Conv2d,
        Conv2dInputGradient,
        Conv2dWeightGradient,
        Copy,
        Embedding,
        Expand,
        Fill,
        Fused,
        MatMul,
        Pad,
        Permute,
        Power,
        RandomNormal,
        Reduce,
        Reshape,
        RoundTo,
        ScatterRows,
        Select,
        Slice,
        Unary {
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
}
