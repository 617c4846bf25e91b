// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.List;
import java.util.Optional;
import reverie.autograd.Tape;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.ChainPosition;
import reverie.diffusion.ReversePolicy;
import reverie.rl.objective.StepObjective;
import reverie.tensor.Tensor;

/**
 * The backward pass of one micro-batch of decisions, captured at its first use: the gradient of the
 * share that they have in the objective is added up.
 */
final class StepGradient implements AutoCloseable {
  private final BackwardPass pass;

  /**
   * Decisions to differentiate, all with the batch as their first axis.
   *
   * @param before x_t
   * @param after x_t'
   * @param at their steps
   * @param contexts may be null
   */
  record Decisions(
      Tensor before,
      Tensor after,
      ChainPosition at,
      Tensor contexts,
      Tensor oldLogProb,
      Tensor advantage) {

    /** Those that samples of a rollout made at the steps given for them. */
    static Decisions of(
        Policy policy, Rollout rollout, int[] samples, int[] steps, double[] old, double[] worth) {
      Tensor before = rollout.before(samples, steps);
      return new Decisions(
          before,
          rollout.after(samples, steps),
          policy.process().position(before, steps),
          rollout.contexts(samples),
          policy.device().tensor(old, old.length),
          policy.device().tensor(worth, worth.length));
    }
  }

  /**
   * What came out, to be read before the next pass.
   *
   * @param loss the share
   * @param logProb of each decision now
   * @param divergence of each decision from the reference, or null
   */
  record Outcome(Tensor loss, Tensor logProb, Tensor divergence) {}

  StepGradient(
      Policy policy, StepObjective objective, double klWeight, GradientAccumulator gradients) {
    pass =
        new BackwardPass(
            policy.device(),
            gradients,
            in -> {
              Decisions decisions =
                  new Decisions(in[0], in[1], ChainPosition.of(in[2]), in[3], in[4], in[5]);
              return loss(policy, objective, klWeight, decisions, in[6]);
            });
  }

  /**
   * Adds to the gradient.
   *
   * @param factor of the sum of the losses
   */
  Outcome add(Decisions d, double factor) {
    List<Tensor> out =
        pass.add(
            d.before,
            d.after,
            d.at.numbers(),
            d.contexts,
            d.oldLogProb,
            d.advantage,
            d.before.device().scalar(factor));
    return new Outcome(out.get(0), out.get(1), out.size() == 3 ? out.get(2) : null);
  }

  private static Tensor[] loss(
      Policy policy, StepObjective objective, double klWeight, Decisions d, Tensor factor) {
    ReversePolicy process = policy.process();
    Tensor timesteps = d.at.timesteps();
    Tensor output = policy.denoiser().predict(d.before, timesteps, d.contexts);
    ReversePolicy.Step step = process.step(d.before, output, d.at);
    Tensor logProb = process.logProb(d.after, step);
    Tensor loss = objective.loss(logProb, d.oldLogProb, d.advantage);
    if (klWeight == 0) {
      return new Tensor[] {loss.sum().mul(factor), logProb};
    }
    Tensor known =
        Tape.noGradient(() -> policy.reference().predict(d.before, timesteps, d.contexts));
    Tensor divergence = process.divergence(step, process.step(d.before, known, d.at));
    Tensor penalty =
        switch (objective.penalty()) {
          case GAUSSIAN_KL -> divergence;
          case OUTPUT_ERROR -> perSample(output.sub(known).square());
        };
    Tensor anchored = loss.add(penalty.mul(klWeight));
    return new Tensor[] {anchored.sum().mul(factor), logProb, divergence};
  }

  private static Tensor perSample(Tensor errors) {
    int n = errors.dim(0);
    return errors.reshape(n, Math.toIntExact(errors.size() / n)).mean(1);
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
