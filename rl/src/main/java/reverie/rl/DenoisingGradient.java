// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.Optional;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.DenoisingLoss;
import reverie.tensor.Tensor;

/**
 * The backward pass of one micro-batch of denoising losses, captured at its first use: the gradient
 * of their weighted sum is added up.
 */
final class DenoisingGradient implements AutoCloseable {
  private final BackwardPass pass;

  DenoisingGradient(Policy policy, GradientAccumulator gradients) {
    pass =
        new BackwardPass(
            policy.device(),
            gradients,
            in -> {
              var question = new DenoisingLoss.Question(in[0], in[1], in[2], in[3]);
              return new Tensor[] {question.perSample(policy.denoiser(), in[4]).sum()};
            });
  }

  /**
   * Adds to the gradient.
   *
   * @param contexts may be null
   * @return the weighted sum of the losses, to be read before the next pass
   */
  Tensor add(DenoisingLoss.Question q, Tensor contexts) {
    return pass.add(q.x(), q.timesteps(), q.target(), q.weights(), contexts).getFirst();
  }

  /** Why the pass cannot be captured; empty if it can, or was not made yet. */
  Optional<String> captureFailure() {
    return pass.captureFailure();
  }

  @Override
  public void close() {
    pass.close();
  }
}
