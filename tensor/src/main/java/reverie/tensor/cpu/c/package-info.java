// SPDX-License-Identifier: Apache-2.0
/**
 * Kernels in C ({@code native/cpu}): a library for each set of instructions, its functions as typed
 * interfaces, and for each family of operations a class that divides the work into blocks.
 */
package reverie.tensor.cpu.c;
