// SPDX-License-Identifier: Apache-2.0

/** Off-heap memory: raw addresses, the pool of buffers, scratch of a thread. */
package reverie.tensor.cpu.memory;
