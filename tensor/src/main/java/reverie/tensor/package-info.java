// SPDX-License-Identifier: Apache-2.0

/**
 * Tensors and the one seam through which every operation passes.
 *
 * <p>A {@link reverie.tensor.Tensor} is a strided view of memory on a {@link
 * reverie.tensor.Device}, which dies with its {@link reverie.tensor.Scope}. {@link
 * reverie.tensor.Ops} hands every operation to the current {@link reverie.tensor.Interpreter};
 * {@link reverie.tensor.Direct} computes.
 *
 * <p>This package, {@link reverie.tensor.op} and {@link reverie.tensor.spi} form one circle, the
 * only one in this module: methods of {@code Tensor} and {@code Ops} name operations ({@code
 * softmax()}, {@code groupNorm(…)}), fused operations define themselves in these methods again, and
 * a backend computes tensors. Everything else leans on the three and is not known to them: backends
 * are found as services.
 */
package reverie.tensor;
