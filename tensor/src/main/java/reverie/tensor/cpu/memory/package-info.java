// SPDX-License-Identifier: Apache-2.0
/** Addresses of tensors, pools of pages that tensors live in, and scratch memory of threads. */
package reverie.tensor.cpu.memory;
