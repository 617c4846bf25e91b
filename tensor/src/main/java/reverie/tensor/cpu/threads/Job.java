// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.threads;

import java.util.function.IntConsumer;

/**
 * Work of at least one block.
 *
 * @param call the number of the operation in a captured step to which it belongs
 */
public record Job(int blocks, IntConsumer body, int call) {}
