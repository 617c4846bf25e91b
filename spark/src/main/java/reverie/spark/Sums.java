// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.util.List;
import reverie.autograd.optim.GradientTree;
import reverie.rl.learn.Update;

/**
 * The gradient of a task's shards, from which it sends one range after another; nobody has to hold
 * all of it a second time.
 *
 * @param outcomes of its batches
 * @param tree of its shards
 */
record Sums(List<Update.Outcome> outcomes, GradientTree tree) implements AutoCloseable {
  /** What is sent of a range. */
  Part part(Ranges ranges, int range) {
    return new Part(
        range == 0 ? outcomes : List.of(),
        Part.nodes(tree, ranges.start(range), ranges.start(range + 1)));
  }

  @Override
  public void close() {
    tree.close();
  }
}
