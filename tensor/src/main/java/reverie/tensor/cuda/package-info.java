// SPDX-License-Identifier: Apache-2.0
/**
 * The graphics processor: {@link reverie.tensor.cuda.CudaBackend} runs kernels of ours (sources in
 * {@code native/cuda}), cuBLAS and cuDNN through three interfaces, {@link
 * reverie.tensor.cuda.Driver}, {@link reverie.tensor.cuda.Blas} and {@link
 * reverie.tensor.cuda.Dnn}, which JCuda implements; tests stand in for them on the processor.
 */
package reverie.tensor.cuda;
