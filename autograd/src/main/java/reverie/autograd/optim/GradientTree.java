// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.optim;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.function.IntConsumer;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Copy;

/**
 * Sums the gradients of shards in an order that depends on their number alone: pairwise, in a
 * binary tree over 0 to S − 1. Each node adds the 2^k shards from a multiple of 2^k on; where S is
 * no power of two, the largest such nodes are added from the last to the first. Whoever has some
 * shards in a row adds what {@linkplain #nodes() nodes} they complete, and the rest is added
 * elsewhere: the bits are the same however the shards are divided.
 */
public final class GradientTree implements AutoCloseable {
  private static final Binary ADD = new Binary(Binary.Kind.ADD);

  private final Deque<Node> nodes = new ArrayDeque<>();
  private final List<Scope> scopes = new ArrayList<>();

  /**
   * The sum of some shards in a row.
   *
   * @param first the number of the first
   * @param shards how many: a power of two that divides {@code first}
   * @param sum of their gradients, of any shape; it belongs to the tree
   */
  public record Node(int first, int shards, Tensor sum) {
    private boolean completes(Node left) {
      return left.shards == shards && left.first % (2 * shards) == 0;
    }
  }

  /**
   * Adds the sum of the shards that follow those which are there, and merges what can be merged.
   *
   * @param sum is copied
   * @throws ReverieException if they do not follow, or are no node of the tree
   */
  public void add(int first, int shards, Tensor sum) {
    Node last = nodes.peekLast();
    if (Integer.bitCount(shards) != 1
        || first % shards != 0
        || last != null && last.first + last.shards != first) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "gradient tree: expected the shards after %s, got %d shards from %d on",
              last == null ? "none" : last.first + last.shards - 1,
              shards,
              first));
    }
    Scope scope = Scope.detached("gradient tree");
    scopes.add(scope);
    Node node;
    try (Scope _ = Scope.open("gradient tree")) {
      node = new Node(first, shards, scope.adopt(Ops.apply(new Copy(), sum)));
    }
    while (!nodes.isEmpty() && node.completes(nodes.peekLast())) {
      Node left = nodes.removeLast();
      Ops.update(ADD, new Tensor[] {left.sum}, left.sum, node.sum);
      scopes.removeLast().close();
      node = new Node(left.first, 2 * left.shards, left.sum);
    }
    nodes.addLast(node);
  }

  /** What is merged so far, in the order of the shards; valid until the tree is changed. */
  public List<Node> nodes() {
    return List.copyOf(nodes);
  }

  /** Sets a tensor to the sum of all shards, and empties the tree. */
  public void moveTo(Tensor sum) {
    sum.assign(nodes.removeLast().sum.reshape(sum.shape().dims()));
    addTo(sum);
  }

  /** Adds everything to the sum of the shards after these, and empties the tree. */
  private void addTo(Tensor sum) {
    while (!nodes.isEmpty()) {
      Tensor left = nodes.removeLast().sum;
      Ops.update(ADD, new Tensor[] {sum}, left.reshape(sum.shape().dims()), sum);
    }
    close();
  }

  /**
   * Sets an accumulator to the sum of shards, each summed from zero by itself.
   *
   * @param shard adds the gradient of the shard of this number to the accumulator
   */
  public static void sum(GradientAccumulator gradients, int shards, IntConsumer shard) {
    try (var tree = new GradientTree()) {
      for (int k = 0; k < shards; k++) {
        gradients.clear();
        shard.accept(k);
        if (k < shards - 1) {
          tree.add(k, 1, gradients.all());
        }
      }
      tree.addTo(gradients.all());
    }
  }

  /** Forgets everything. */
  @Override
  public void close() {
    nodes.clear();
    scopes.forEach(Scope::close);
    scopes.clear();
  }
}
