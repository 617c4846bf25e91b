// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import reverie.autograd.optim.GradientTree;
import reverie.rl.learn.Update;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

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
   * @param sum its values, in the device's type
   */
  record Node(int first, int shards, byte[] sum) implements Serializable {}

  /** The nodes of a tree from one place of the gradient to another. */
  static List<Node> nodes(GradientTree tree, int from, int to) {
    try (Scope _ = Scope.open("nodes")) {
      return tree.nodes().stream()
          .map(node ->
              new Node(
                  node.first(), node.shards(), Bytes.of(List.of(node.sum().slice(0, from, to)))))
          .toList();
    }
  }

  /** Adds the nodes of parts to a tree, whatever the order of these; gives all their outcomes. */
  static List<Update.Outcome> add(List<Part> parts, GradientTree tree, Device device) {
    List<Update.Outcome> outcomes = new ArrayList<>();
    DType type = device.floatType();
    parts.stream()
        .sorted(Comparator.comparingInt(part -> part.nodes.getFirst().first))
        .forEach(part -> {
          outcomes.addAll(part.outcomes);
          for (Node node : part.nodes) {
            try (Scope _ = Scope.open("node")) {
              Tensor sum = device.unset(type, node.sum.length / type.bytes());
              Bytes.assign(List.of(sum), node.sum);
              tree.add(node.first, node.shards, sum);
            }
          }
        });
    return outcomes;
  }
}
