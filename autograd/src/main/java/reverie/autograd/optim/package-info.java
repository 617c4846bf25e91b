// SPDX-License-Identifier: Apache-2.0

/**
 * How weights move: a {@link reverie.autograd.optim.BackwardPass} adds gradients up, a {@link
 * reverie.autograd.optim.TrainingStep} clips them, gives them to AdamW and keeps a moving average.
 */
package reverie.autograd.optim;
