// SPDX-License-Identifier: Apache-2.0
package reverie.bench.count;

import reverie.tensor.cuda.driver.Driver;

/**
 * One launch or library call.
 *
 * @param kernel its name: ours, or {@code cublas} or {@code cudnn} with what it computes
 * @param least bytes that any such step has to move here: of products factors and result, in the
 *     type that the precision takes, of the optimizer what it updates; of others none, since they
 *     could be parts of these
 */
record Node(String kernel, Driver.Work work, long least) {}
