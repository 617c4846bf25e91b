// SPDX-License-Identifier: Apache-2.0
/**
 * The processor as a backend: {@link reverie.tensor.cpu.CpuBackend} allocates from pools, and hands
 * every operation to a library of kernels.
 *
 * <p>Packages, each knowing only those before it: {@code memory} (addresses, pools, scratch),
 * {@code threads} (blocks of work, now or recorded), {@code kernel} (what both libraries of kernels
 * implement), {@code simd} (Java's Vector API) and {@code c} (C, compiled for several sets of
 * instructions), and this one.
 */
package reverie.tensor.cpu;
