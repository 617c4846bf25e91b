// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.spi;

import reverie.tensor.Tensor;
import reverie.tensor.op.Op;

/**
 * One operation of a captured step, on memory that does not exist yet.
 *
 * @param scratchBytes what {@link Backend#scratchBytes} says
 */
public record Step(Op op, Tensor[] inputs, Tensor[] outputs, long scratchBytes) {}
