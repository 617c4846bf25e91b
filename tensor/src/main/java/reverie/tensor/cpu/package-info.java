// SPDX-License-Identifier: Apache-2.0

/** The processor: kernels in C and in the Vector API, and the threads that share them. */
package reverie.tensor.cpu;
