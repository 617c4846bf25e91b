// SPDX-License-Identifier: Apache-2.0
/**
 * Which kernels carry out which operation, and their launch parameters: a class for each file of
 * kernels in {@code native/cuda}, {@link reverie.tensor.cuda.kernels.Operations} in front.
 */
package reverie.tensor.cuda.kernels;
