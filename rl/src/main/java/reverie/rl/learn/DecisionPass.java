// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.invoke.MethodHandles;
import java.util.Optional;
import java.util.function.IntConsumer;
import reverie.autograd.Tape;
import reverie.autograd.optim.BackwardPass;
import reverie.diffusion.ChainPosition;
import reverie.diffusion.ReversePolicy;
import reverie.rl.Policy;
import reverie.rl.objective.StepObjective;
import reverie.tensor.Tensor;

/** Differentiates the loss of decisions, with the KL to the reference if it has a weight. */
final class DecisionPass implements Pass {
  private final Policy policy;
  private final BackwardPass<Inputs, Judged> pass;

  /** Latents around steps, the numbers of their {@link ChainPosition}, contexts or null. */
  private record Inputs(
      Tensor before,
      Tensor after,
      Tensor numbers,
      Tensor contexts,
      Tensor oldLogProb,
      Tensor advantage,
      Tensor factor) {}

  /** What a decision is now; no divergence without a KL weight. */
  private record Judged(Tensor logProb, Tensor kl) {}

  DecisionPass(Fleet.Job job, StepObjective objective) {
    policy = job.policy();
    double klWeight = job.settings().klWeight();
    pass =
        new BackwardPass<>(
            MethodHandles.lookup(),
            policy.device(),
            job.gradients(),
            in -> loss(policy, objective, klWeight, in));
  }

  @Override
  public Update.Outcome add(
      Rollout rollout, Update.Batch batch, Update update, IntConsumer trained) {
    int[] samples = batch.samples();
    Tensor before = rollout.before(samples, batch.steps());
    BackwardPass.Loss<Judged> out =
        pass.add(
            new Inputs(
                before,
                rollout.after(samples, batch.steps()),
                policy.process().position(before, batch.steps()).numbers(),
                rollout.contexts(samples),
                policy.device().tensor(batch.oldLogProb(), samples.length),
                policy.device().tensor(batch.weights(), samples.length),
                policy.device().scalar(update.factor())));
    Tensor kl = out.samples().kl;
    trained.accept(samples.length);
    return new Update.Outcome(
        out.sum().item(), out.samples().logProb.toDoubles(), kl == null ? null : kl.toDoubles());
  }

  private static BackwardPass.Loss<Judged> loss(
      Policy policy, StepObjective objective, double klWeight, Inputs in) {
    ReversePolicy process = policy.process();
    ChainPosition at = ChainPosition.of(in.numbers);
    Tensor timesteps = at.timesteps();
    Tensor output = policy.denoiser().predict(in.before, timesteps, in.contexts);
    ReversePolicy.Step step = process.step(in.before, output, at);
    Tensor logProb = process.logProb(in.after, step);
    Tensor loss = objective.loss(logProb, in.oldLogProb, in.advantage);
    if (klWeight == 0) {
      return new BackwardPass.Loss<>(loss.sum().mul(in.factor), new Judged(logProb, null));
    }
    Tensor known =
        Tape.noGradient(() -> policy.reference().predict(in.before, timesteps, in.contexts));
    Tensor kl = process.divergence(step, process.step(in.before, known, at));
    Tensor penalty =
        switch (objective.penalty()) {
          case GAUSSIAN_KL -> kl;
          case OUTPUT_ERROR -> perSample(output.sub(known).square());
        };
    Tensor anchored = loss.add(penalty.mul(klWeight));
    return new BackwardPass.Loss<>(anchored.sum().mul(in.factor), new Judged(logProb, kl));
  }

  private static Tensor perSample(Tensor errors) {
    int n = errors.dim(0);
    return errors.reshape(n, Math.toIntExact(errors.size() / n)).mean(1);
  }

  @Override
  public Optional<String> captureFailure() {
    return pass.captureFailure();
  }

  @Override
  public void close() {
    pass.close();
  }
}
