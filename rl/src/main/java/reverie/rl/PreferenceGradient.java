// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.List;
import java.util.Optional;
import reverie.autograd.Tape;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.DenoisingLoss;
import reverie.rl.objective.PreferenceObjective;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;

/** The backward pass of one micro-batch of pairs, captured at its first use. */
final class PreferenceGradient implements AutoCloseable {
  private final BackwardPass pass;

  PreferenceGradient(Policy policy, PreferenceObjective objective, GradientAccumulator gradients) {
    pass =
        new BackwardPass(
            policy.device(),
            gradients,
            in -> {
              var won = new DenoisingLoss.Question(in[0], in[2], in[3], null);
              var lost = new DenoisingLoss.Question(in[1], in[2], in[4], null);
              return loss(policy, objective, won, lost, in[5], in[6]);
            });
  }

  /** Both images of the pairs in one batch, so that either model is asked once. */
  private static Tensor[] loss(
      Policy policy,
      PreferenceObjective objective,
      DenoisingLoss.Question won,
      DenoisingLoss.Question lost,
      Tensor contexts,
      Tensor factor) {
    var both =
        new DenoisingLoss.Question(
            Ops.concat(0, won.x(), lost.x()),
            Ops.concat(0, won.timesteps(), lost.timesteps()),
            Ops.concat(0, won.target(), lost.target()),
            null);
    Tensor twice = contexts == null ? null : Ops.concat(0, contexts, contexts);
    Tensor base = Tape.noGradient(() -> both.perSample(policy.reference(), twice));
    Tensor excess = both.perSample(policy.denoiser(), twice).sub(base);
    int n = won.x().dim(0);
    Tensor chosen = excess.slice(0, 0, n);
    Tensor rejected = excess.slice(0, n, 2 * n);
    return new Tensor[] {objective.loss(chosen, rejected).sum().mul(factor), chosen, rejected};
  }

  /**
   * What came out, to be read before the next pass.
   *
   * @param loss the share that the pairs have in the objective
   * @param chosen {@code [n]}: by how much the model's denoising losses exceed the reference's
   * @param rejected the same for the other images
   */
  record Outcome(Tensor loss, Tensor chosen, Tensor rejected) {}

  /**
   * Adds to the gradient.
   *
   * @param won the preferred images, noised
   * @param lost the others, at the same timesteps
   * @param contexts {@code [n, tokens, dim]} or null
   * @param factor of the sum of the losses
   */
  Outcome add(
      DenoisingLoss.Question won, DenoisingLoss.Question lost, Tensor contexts, double factor) {
    Tensor scale = won.x().device().scalar(factor);
    List<Tensor> out =
        pass.add(won.x(), lost.x(), won.timesteps(), won.target(), lost.target(), contexts, scale);
    return new Outcome(out.get(0), out.get(1), out.get(2));
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
