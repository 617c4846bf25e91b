// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import reverie.tensor.Shape;

/** A tensor of one value. */
public record Fill(double value, Shape shape) implements Creation {}
