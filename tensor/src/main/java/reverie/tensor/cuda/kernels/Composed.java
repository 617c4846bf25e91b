// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.List;
import java.util.stream.Collectors;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.op.CustomOp;
import reverie.tensor.op.ElementFunction;
import reverie.tensor.op.Op;

/**
 * Functions of single elements, carried out one after another in one pass ({@link Composition}):
 * inputs → results that others read.
 *
 * @param parts the functions
 * @param types of the outputs
 */
record Composed(List<Part> parts, List<TensorType> types) implements CustomOp {
  /** How many functions one pass carries out. */
  static final int MAX_PARTS = 16;

  /** How many tensors it reads. */
  static final int MAX_INPUTS = 8;

  /** How many results it holds for later functions. */
  static final int SLOTS = 4;

  /**
   * One function.
   *
   * @param operands slots of results that are held, or, from {@link #SLOTS} on, inputs
   * @param slot in which its result is held; −1 for none
   * @param output which of the outputs it is; −1 for none
   */
  record Part(ElementFunction function, List<Integer> operands, int slot, int output) {}

  @Override
  public String name() {
    return parts.stream().map(Part::function).map(Op::name).collect(Collectors.joining(", "));
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    return types;
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    throw new IllegalStateException(name() + " was arranged for this backend alone");
  }
}
