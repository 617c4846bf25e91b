// SPDX-License-Identifier: Apache-2.0

/**
 * The operations: sealed records that hold attributes, check inputs, infer the types of outputs
 * and, if fused, define themselves in simpler ones.
 *
 * <p>{@link reverie.tensor.op.ElementWise}, {@link reverie.tensor.op.View} and {@link
 * reverie.tensor.op.Creation} say what is true of many, {@link reverie.tensor.op.ElementFunction},
 * {@link reverie.tensor.op.ParameterUpdate}, {@link reverie.tensor.op.Convolution}, {@link
 * reverie.tensor.op.DataMovement} and {@link reverie.tensor.op.Reduction} what kernels have in
 * common; {@link reverie.tensor.op.CustomOp} is the door for operations of your own. A definition
 * is written with {@code Tensor} and {@code Ops}, which name operations in turn: that circle is
 * meant.
 */
package reverie.tensor.op;
