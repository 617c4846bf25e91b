// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.invoke.MethodHandles;
import java.util.Optional;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import reverie.autograd.Tape;
import reverie.autograd.optim.BackwardPass;
import reverie.diffusion.ChainPosition;
import reverie.diffusion.NoiseSchedule;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.TimestepGrid;
import reverie.rl.Policy;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.StepObjective;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;
import reverie.tensor.graph.MicroBatched;
import reverie.tensor.op.Copy;

/** Differentiates the loss of decisions, with the KL to the reference if it has a weight. */
final class DecisionPass implements Pass {
  private final Policy policy;
  private final boolean guards;
  private final BackwardPass<Inputs, Judged> pass;
  private final MicroBatched<Asked, Answer> own;

  /**
   * Latents around steps, the numbers of their {@link ChainPosition}, contexts or null; what the
   * model that drew said and the steps' lengths, or null.
   */
  private record Inputs(
      Tensor before,
      Tensor after,
      Tensor numbers,
      Tensor contexts,
      Tensor oldLogProb,
      Tensor advantage,
      Tensor factor,
      Tensor old,
      Tensor lengths) {}

  /** What the model is asked with its earlier weights. */
  private record Asked(Tensor x, Tensor timesteps, Tensor contexts) {}

  private record Answer(Tensor output) {}

  /** What a decision is now; no divergence without a KL weight. */
  private record Judged(Tensor logProb, Tensor kl) {}

  DecisionPass(Fleet.Job job, StepObjective objective) {
    policy = job.policy();
    guards = objective.guards();
    own =
        new MicroBatched<>(
            MethodHandles.lookup(),
            policy.device(),
            in -> new Answer(policy.denoiser().predict(in.x, in.timesteps, in.contexts)));
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
    Tensor contexts = rollout.contexts(samples);
    Tensor numbers = policy.process().position(before, batch.steps()).numbers();
    BackwardPass.Loss<Judged> out =
        pass.add(
            new Inputs(
                before,
                rollout.after(samples, batch.steps()),
                numbers,
                contexts,
                policy.device().tensor(batch.oldLogProb(), samples.length),
                policy.device().tensor(batch.weights(), samples.length),
                policy.device().scalar(update.factor()),
                guards ? old(update, before, numbers, contexts) : null,
                guards ? lengths(batch.steps()) : null));
    Tensor kl = out.samples().kl;
    trained.accept(samples.length);
    return new Update.Outcome(
        out.sum().item(), out.samples().logProb.toDoubles(), kl == null ? null : kl.toDoubles());
  }

  /** What the model that drew the samples says. */
  private Tensor old(Update update, Tensor before, Tensor numbers, Tensor contexts) {
    var asked = new Asked(before, ChainPosition.of(numbers).timesteps(), contexts);
    return update
        .lagged()
        .get(DenoisingObjective.Model.OLD)
        .during(() -> Ops.apply(new Copy(), own.run(asked).output));
  }

  private Tensor lengths(int... steps) {
    NoiseSchedule schedule = policy.process().schedule();
    TimestepGrid grid = policy.process().grid();
    double[] lengths =
        IntStream.of(steps)
            .mapToDouble(i ->
                schedule.noise(grid.timestep(i))
                    - (i + 1 < grid.steps() ? schedule.noise(grid.timestep(i + 1)) : 0))
            .toArray();
    return policy.device().tensor(lengths, lengths.length);
  }

  /** lp with which {@code lp − lp_old} is what {@link StepObjective#guards} says. */
  private static Tensor guarded(Tensor logProb, Tensor oldLogProb, Tensor gap, Tensor sigma) {
    return logProb.sub(oldLogProb).add(gap).mul(sigma).add(oldLogProb);
  }

  private static BackwardPass.Loss<Judged> loss(
      Policy policy, StepObjective objective, double klWeight, Inputs in) {
    ReversePolicy process = policy.process();
    ChainPosition at = ChainPosition.of(in.numbers);
    Tensor timesteps = at.timesteps();
    Tensor output = policy.denoiser().predict(in.before, timesteps, in.contexts);
    ReversePolicy.Step step = process.step(in.before, output, at);
    Tensor logProb = process.logProb(in.after, step);
    Tensor loss =
        in.old == null
            ? objective.loss(logProb, in.oldLogProb, in.advantage)
            : objective
                .loss(
                    guarded(
                        logProb,
                        in.oldLogProb,
                        process.divergence(step, process.step(in.before, in.old, at)),
                        step.sigma()),
                    in.oldLogProb,
                    in.advantage)
                .div(in.lengths);
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
    return pass.captureFailure().or(own::captureFailure);
  }

  @Override
  public void discard() {
    pass.discard();
    own.discard();
  }

  @Override
  public void close() {
    pass.close();
    own.close();
  }
}
