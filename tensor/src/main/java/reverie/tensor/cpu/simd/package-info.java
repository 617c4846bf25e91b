// SPDX-License-Identifier: Apache-2.0

/** Kernels in the Vector API, which run on every processor that Java knows. */
package reverie.tensor.cpu.simd;
