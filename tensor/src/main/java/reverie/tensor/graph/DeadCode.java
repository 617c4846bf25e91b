// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import java.util.HashSet;
import java.util.LinkedList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import reverie.tensor.Storage;
import reverie.tensor.Tensor;
import reverie.tensor.spi.Step;

/**
 * Removes operations whose results nothing reads: a gradient that is taken through an operation's
 * definition carries that out again, although it often needs only some of it.
 */
final class DeadCode {
  private DeadCode() {}

  /**
   * The steps without those that write nothing that is read later, is a result or was there before.
   */
  static List<Step> of(List<Step> steps, Tensor... results) {
    Set<Storage> read = new HashSet<>();
    Stream.of(results).map(Tensor::storage).forEach(read::add);
    LinkedList<Step> needed = new LinkedList<>();
    for (Step step : steps.reversed()) {
      boolean seen =
          Stream.of(step.outputs())
              .map(Tensor::storage)
              .anyMatch(storage -> !storage.isMeta() || read.contains(storage));
      if (seen) {
        Stream.of(step.inputs()).map(Tensor::storage).forEach(read::add);
        needed.addFirst(step);
      }
    }
    return List.copyOf(needed);
  }
}
