// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.Optional;
import reverie.autograd.optim.GradientAccumulator;
import reverie.rl.objective.DdpoScoreFunction;

/**
 * The captured passes of a {@link ChainDriver}, kept from epoch to epoch.
 *
 * @param now scores decisions under the weights as they are
 * @param reference scores them under the reference model
 * @param gradient of a weighted sum of log-probabilities
 */
record ChainPasses(Scoring now, Scoring reference, StepGradient gradient) implements AutoCloseable {

  static ChainPasses of(Policy policy, TrainerSettings settings, GradientAccumulator gradients) {
    return new ChainPasses(
        new Scoring(policy, policy.denoiser(), settings.trainingBatch()),
        new Scoring(policy, policy.reference(), settings.trainingBatch()),
        new StepGradient(policy, new DdpoScoreFunction(), settings.klWeight(), gradients));
  }

  Optional<String> captureFailure() {
    return gradient.captureFailure().or(now::captureFailure).or(reference::captureFailure);
  }

  @Override
  public void close() {
    now.close();
    reference.close();
    gradient.close();
  }
}
