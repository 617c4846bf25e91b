// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

/** An operation that puts elements somewhere else, as they are or added up where they meet. */
public sealed interface DataMovement extends Op
    permits Concat, Embedding, Pad, ScatterRows, UpsampleNearest, Widen {}
