// SPDX-License-Identifier: Apache-2.0
package reverie.bench.count;

import reverie.tensor.cuda.driver.Driver;

/**
 * One launch or library call.
 *
 * @param kernel its name: ours, or {@code cublas} or {@code cudnn} with what it computes
 */
record Node(String kernel, Driver.Work work) {}
