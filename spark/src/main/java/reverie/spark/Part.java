// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import reverie.autograd.optim.GradientTree;
import reverie.rl.learn.Update;
import reverie.tensor.Device;
import reverie.tensor.Scope;

/**
 * What a task sends of an update, or of a range of its gradient.
 *
 * @param outcomes of its batches, in their order; with the first range alone
 * @param nodes of the tree of gradients that its shards complete; at least one
 */
record Part(List<Update.Outcome> outcomes, List<Node> nodes) implements Serializable {
  /**
   * The sum of some shards in a row.
   *
   * @param first number of the first
   * @param shards how many
   */
  record Node(int first, int shards, float[] sum) implements Serializable {}

  /** The nodes of a tree from one place of the gradient to another. */
  static List<Node> nodes(GradientTree tree, int from, int to) {
    return tree.nodes().stream()
        .map(
            node -> new Node(node.first(), node.shards(), node.sum().slice(0, from, to).toFloats()))
        .toList();
  }

  /** Adds the nodes of parts to a tree, whatever the order of these; gives all their outcomes. */
  static List<Update.Outcome> add(List<Part> parts, GradientTree tree, Device device) {
    List<Update.Outcome> outcomes = new ArrayList<>();
    parts.stream()
        .sorted(Comparator.comparingInt(part -> part.nodes.getFirst().first))
        .forEach(part -> {
          outcomes.addAll(part.outcomes);
          for (Node node : part.nodes) {
            try (Scope _ = Scope.open("node")) {
              tree.add(node.first, node.shards, device.tensor(node.sum, node.sum.length));
            }
          }
        });
    return outcomes;
  }
}
