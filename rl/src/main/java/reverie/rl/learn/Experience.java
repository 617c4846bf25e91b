// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntConsumer;

/** Where the experience of a run comes from, and what learns from it. */
interface Experience extends Resumable, AutoCloseable {
  /**
   * Collects the experience of an epoch; its tensors belong to the open scope. Changes nothing that
   * a state holds, so that it may be cut off.
   *
   * @param epoch from 0: the address of all chance
   */
  void collect(int epoch, Diagnostics diagnostics);

  /**
   * Begins to learn from what was collected.
   *
   * @param trained gets of every backward pass how many items it had
   * @return the learner, at the beginning of the epoch
   */
  Learner<?> begin(int epoch, Diagnostics diagnostics, IntConsumer trained);

  /** Called once the epoch's updates are made, while its experience is still there. */
  void finishEpoch(int epoch, Diagnostics diagnostics);

  /** Samples scored so far. */
  long rewardQueries();

  /** What the rest of the run depends on and never changes. */
  Map<String, String> fingerprint();

  /** Why captured functions could not be captured. */
  List<Optional<String>> captureFailures();

  @Override
  void close();
}
