// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.Optional;
import reverie.tensor.Layout;

/** An operation whose result is the input's memory, read in another way: nothing is computed. */
public sealed interface View extends Op permits Expand, Permute, Reshape, Slice {
  /**
   * How the result lies in the memory of an input that {@link #infer} accepts; empty if its
   * elements must be copied together first. A contiguous input never needs that.
   */
  Optional<Layout> view(Layout input);
}
