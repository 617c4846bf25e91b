// SPDX-License-Identifier: Apache-2.0

/**
 * Reverse-mode differentiation. A {@link reverie.autograd.Tape} is an interpreter that records what
 * depends on chosen tensors and walks back through it with one table of gradients, {@code
 * Pullbacks}; {@link reverie.autograd.GradCheck} compares any gradient with finite differences.
 */
package reverie.autograd;
