// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

/**
 * The door for operations of your own: give types and a decomposition, and the operation runs, is
 * differentiated and is checked like the built-in ones.
 */
public non-sealed interface CustomOp extends Fused {}
