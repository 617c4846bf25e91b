// SPDX-License-Identifier: Apache-2.0

/** The threads that share the work of kernels, and recordings of it that are replayed. */
package reverie.tensor.cpu.threads;
