// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.spi;

import reverie.tensor.Tensor;
import reverie.tensor.op.Op;

/**
 * One operation on fixed memory, as {@link Backend#run} gets it.
 *
 * @param scratch as much as the backend asked for, or null
 */
public record Call(Op op, Tensor[] inputs, Tensor[] outputs, Buffer scratch) {}
