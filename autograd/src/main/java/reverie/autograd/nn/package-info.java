// SPDX-License-Identifier: Apache-2.0

/**
 * Named {@link reverie.autograd.nn.Parameters} and the layers that own them, in the order of axes
 * and the names that PyTorch has; LoRA.
 */
package reverie.autograd.nn;
