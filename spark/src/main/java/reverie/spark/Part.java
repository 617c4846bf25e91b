// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.Serializable;
import java.util.List;
import reverie.rl.learn.Update;

/**
 * What a task sends back of an update.
 *
 * @param outcomes of its batches, in their order
 * @param nodes of the tree of gradients that its shards complete
 */
record Part(List<Update.Outcome> outcomes, List<Node> nodes) implements Serializable {
  /**
   * The sum of some shards in a row.
   *
   * @param first number of the first
   * @param shards how many
   */
  record Node(int first, int shards, float[] sum) implements Serializable {}
}
