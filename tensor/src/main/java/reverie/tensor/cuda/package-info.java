// SPDX-License-Identifier: Apache-2.0
/**
 * The CUDA backend: {@link reverie.tensor.cuda.Cuda} finds and opens a device, {@link
 * reverie.tensor.cuda.CudaBackend} carries out operations on it and captures them as graphs.
 *
 * <p>It is built on {@link reverie.tensor.cuda.kernels}, which chooses and launches kernels, and
 * {@link reverie.tensor.cuda.driver}, the device itself.
 */
package reverie.tensor.cuda;
