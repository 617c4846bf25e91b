// SPDX-License-Identifier: Apache-2.0
/**
 * Kernels in Java's Vector API, for any processor. Nothing outside this package loads a class of
 * the incubating module {@code jdk.incubator.vector}, which therefore may be absent where C is
 * used.
 */
package reverie.tensor.cpu.simd;
