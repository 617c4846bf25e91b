// SPDX-License-Identifier: Apache-2.0
/** A team of threads that share the blocks of kernels, and recordings of such work for later. */
package reverie.tensor.cpu.threads;
