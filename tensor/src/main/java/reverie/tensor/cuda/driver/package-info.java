// SPDX-License-Identifier: Apache-2.0
/**
 * A CUDA device: {@link reverie.tensor.cuda.driver.Driver} (memory, kernels, one stream, graphs),
 * {@link reverie.tensor.cuda.driver.Blas} (matrix products) and {@link
 * reverie.tensor.cuda.driver.Dnn} (convolutions), their implementations by JCuda, JCublas and
 * JCudnn, and how NVIDIA's libraries are found and loaded. Tests put the processor in their place.
 */
package reverie.tensor.cuda.driver;
