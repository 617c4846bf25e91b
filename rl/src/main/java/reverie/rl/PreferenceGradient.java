// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.List;
import java.util.Optional;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.DenoisingLoss;
import reverie.rl.objective.PreferenceObjective;
import reverie.tensor.Repeated;
import reverie.tensor.Tensor;

/**
 * The backward pass of one micro-batch of pairs, captured at its first use. The n preferred images
 * are the first half of a batch, the others the second, so that the model is asked once.
 */
final class PreferenceGradient implements AutoCloseable {
  private final Repeated pass;

  PreferenceGradient(Policy policy, PreferenceObjective objective, GradientAccumulator gradients) {
    List<Tensor> roots = policy.parameters().trainable().stream().map(Parameter::value).toList();
    pass =
        new Repeated(
            policy.device(),
            in -> {
              var question = new DenoisingLoss.Question(in[0], in[1], in[2], null);
              int n = in[0].dim(0) / 2;
              Tensor base = question.perSample(policy.reference(), in[3]);
              Tensor[] excess = new Tensor[1];
              Tape.Result result =
                  Tape.run(
                      roots,
                      () -> {
                        excess[0] = question.perSample(policy.denoiser(), in[3]).sub(base);
                        return objective
                            .loss(excess[0].slice(0, 0, n), excess[0].slice(0, n, 2 * n))
                            .sum()
                            .mul(in[4]);
                      });
              gradients.add(result);
              return new Tensor[] {result.loss(), excess[0]};
            });
  }

  /**
   * What came out, to be read before the next pass.
   *
   * @param loss the share that the pairs have in the objective
   * @param excess {@code [2n]}: by how much the model's denoising losses exceed the reference's
   */
  record Outcome(Tensor loss, Tensor excess) {}

  /**
   * Adds to the gradient.
   *
   * @param q {@code 2n} noised images without weights
   * @param contexts {@code [2n, tokens, dim]} or null
   * @param factor of the sum of the losses
   */
  Outcome add(DenoisingLoss.Question q, Tensor contexts, double factor) {
    List<Tensor> out =
        pass.run(q.x(), q.timesteps(), q.target(), contexts, q.x().device().scalar(factor));
    return new Outcome(out.get(0), out.get(1));
  }

  /** Why the pass cannot be captured; empty if it can, or was not made yet. */
  Optional<String> obstacle() {
    return pass.obstacle();
  }

  @Override
  public void close() {
    pass.close();
  }
}
