// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntConsumer;
import reverie.tensor.Tensor;

/** Where the experience of a run comes from, and how an objective learns from it. */
interface Source extends AutoCloseable {
  /**
   * Gets the experience of an epoch; its tensors belong to the open scope. Changes nothing that a
   * state holds, so that it may be cut off.
   *
   * @param epoch from 0: the address of all chance
   */
  void gather(int epoch, Diagnostics diagnostics);

  /**
   * Begins to learn from what was gathered.
   *
   * @param trained is told of every backward pass how many items it had
   */
  Driver driver(int epoch, Diagnostics diagnostics, IntConsumer trained);

  /** Called once the epoch's updates are made, while its experience is still there. */
  void conclude(int epoch, Diagnostics diagnostics);

  /** Samples scored so far. */
  long rewardQueries();

  /** What the rest of the run depends on and never changes. */
  Map<String, String> fingerprint();

  /** Whole numbers that change from epoch to epoch, for the run's state. */
  Map<String, Long> counters();

  /** Remembered rewards by prompt, for the run's state. */
  Map<String, double[]> remembered();

  /** Tensors that change from epoch to epoch, for the run's state; not copies. */
  Map<String, Tensor> tensors();

  /** Takes up all of these from a state that has them. */
  void restore(TrainerState state);

  /** What was captured and may have failed to be. */
  List<Optional<String>> obstacles();

  @Override
  void close();
}
