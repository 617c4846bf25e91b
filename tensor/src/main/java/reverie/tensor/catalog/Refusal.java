// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

import java.util.List;
import java.util.function.Supplier;
import reverie.tensor.op.Op;

/**
 * A wrong use of an operation.
 *
 * @param op the operation; making it may already fail
 * @param message what the error must say
 */
public record Refusal(Supplier<Op> op, List<Input> inputs, String message) {}
