// SPDX-License-Identifier: Apache-2.0

/**
 * Kernels in C, compiled for several sets of instructions and reached by the foreign function
 * interface.
 */
package reverie.tensor.cpu.c;
