// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.Optional;
import java.util.function.IntConsumer;
import reverie.rl.objective.ChainObjective;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.StepObjective;

/** The backward pass of one kind of objective, captured at its first use. */
interface Pass extends AutoCloseable {
  /**
   * Adds the gradient of a batch to the job's gradients.
   *
   * @param rollout which holds the batch's samples
   * @param update to which it belongs
   * @param trained is told of every backward pass how many rows it had
   */
  Update.Outcome add(Rollout rollout, Update.Batch batch, Update update, IntConsumer trained);

  /** Why it cannot be captured; empty if it can, or was not made yet. */
  Optional<String> captureFailure();

  /** Gives the memory of a large step back until the next one. */
  void discard();

  @Override
  void close();

  /** The pass that an objective needs. */
  static Pass of(Fleet.Job job) {
    return switch (job.objective()) {
      case StepObjective steps -> new DecisionPass(job, steps);
      case ChainObjective _ -> new DecisionPass(job, new DdpoScoreFunction());
      case DenoisingObjective denoising -> new DenoisingPass(job, denoising);
    };
  }
}
