// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.invoke.MethodHandles;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntConsumer;
import reverie.autograd.Tape;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.ChainPosition;
import reverie.diffusion.ReversePolicy;
import reverie.rl.Policy;
import reverie.rl.objective.StepObjective;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Learns by a {@link StepObjective}: one backward pass per micro-batch of samples and position in
 * the chain, accumulated over all steps before the optimizer moves, as the reference implementation
 * does. Each pass is a scope, so memory does not depend on the number of steps. Every sample visits
 * the steps in an order of its own; with a fraction below 1, only the first of them.
 */
final class StepLearner implements Learner<Learner.Scored> {
  private final Policy policy;
  private final StepObjective objective;
  private final TrainerSettings settings;
  private final Pass pass;
  private final Optional<ValueBaseline> baseline;
  private final int[] decisions;
  private final int stepsPerSample;
  private Scored epoch;
  private double[][] values;
  private Diagnostics diagnostics;
  private IntConsumer trained;

  StepLearner(
      Policy policy,
      StepObjective objective,
      TrainerSettings settings,
      GradientAccumulator gradients) {
    if (settings.offline()) {
      throw new ReverieException(
          objective.name() + ": learns from samples of the policy itself, but the run is offline",
          "set offline to false, or learn by an objective that compares samples of a prompt");
    }
    this.policy = policy;
    this.objective = objective;
    this.settings = settings;
    decisions = policy.process().requireDecisions(objective.name());
    stepsPerSample = Math.max(1, (int) Math.round(decisions.length * settings.stepFraction()));
    pass = new Pass(policy, objective, settings.klWeight(), gradients);
    baseline = objective.baseline().map(value -> new ValueBaseline(policy, value, settings.seed()));
  }

  @Override
  public void begin(Scored experience, Diagnostics told, IntConsumer progress) {
    epoch = experience;
    diagnostics = told;
    trained = progress;
    values = baseline.map(value -> value.values(experience.rollout())).orElse(null);
  }

  @Override
  public int samples() {
    return epoch.rollout().size();
  }

  @Override
  public int itemsPerSample() {
    return stepsPerSample;
  }

  @Override
  public void accumulate(int[] samples, Rng rng) {
    double factor = 1.0 / (samples.length * stepsPerSample);
    Learner.inBatches(
        samples,
        settings.trainingBatch(),
        batch -> {
          int[][] order = new int[batch.length][];
          Arrays.setAll(order, i -> rng.fork(batch[i]).permutation(decisions.length));
          for (int position = 0; position < stepsPerSample; position++) {
            Learner.checkInterrupted();
            int[] steps = new int[batch.length];
            for (int i = 0; i < steps.length; i++) {
              steps[i] = decisions[order[i][position]];
            }
            try (Scope _ = Scope.open("decisions")) {
              differentiate(batch, steps, factor);
            }
            trained.accept(batch.length);
          }
        });
  }

  private void differentiate(int[] batch, int[] steps, double factor) {
    double[] old = new double[batch.length];
    double[] advantages = new double[batch.length];
    for (int i = 0; i < batch.length; i++) {
      old[i] = epoch.rollout().logProb(batch[i], steps[i]);
      double baseline = values == null ? 0 : values[batch[i]][steps[i]];
      advantages[i] = epoch.advantages()[batch[i]] - baseline;
    }
    Pass.Outcome outcome =
        pass.add(Decisions.of(policy, epoch.rollout(), batch, steps, old, advantages), factor);
    diagnostics.addLoss(outcome.loss().item());
    diagnostics.addDecisions(outcome.logProb().toDoubles(), old, objective.clipRange());
    if (outcome.kl() != null) {
      diagnostics.addKl(outcome.kl().toDoubles());
    }
  }

  @Override
  public void finishEpoch(int number) {
    baseline.ifPresent(
        value -> value.fit(epoch.rollout(), epoch.advantages(), number, diagnostics));
    epoch = null;
    values = null;
  }

  @Override
  public Map<String, Tensor> tensors() {
    return baseline.map(Resumable::tensors).orElse(Map.of());
  }

  @Override
  public Map<String, Long> counters() {
    return baseline.map(Resumable::counters).orElse(Map.of());
  }

  @Override
  public void restore(TrainerState state) {
    baseline.ifPresent(value -> value.restore(state));
  }

  @Override
  public Optional<String> captureFailure() {
    return pass.captureFailure().or(() -> baseline.flatMap(ValueBaseline::captureFailure));
  }

  @Override
  public void close() {
    pass.close();
    baseline.ifPresent(ValueBaseline::close);
  }

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
        Policy policy, Rollout rollout, int[] samples, int[] steps, double[] old, double[] gains) {
      Tensor before = rollout.before(samples, steps);
      return new Decisions(
          before,
          rollout.after(samples, steps),
          policy.process().position(before, steps),
          rollout.contexts(samples),
          policy.device().tensor(old, old.length),
          policy.device().tensor(gains, gains.length));
    }
  }

  /**
   * The backward pass of one micro-batch of decisions, captured at its first use: the gradient of
   * the share that they have in the objective is added up.
   */
  static final class Pass implements AutoCloseable {
    private final BackwardPass<Inputs, Judged> pass;

    private record Inputs(
        Tensor before,
        Tensor after,
        Tensor numbers,
        Tensor contexts,
        Tensor oldLogProb,
        Tensor advantage,
        Tensor factor) {

      Decisions decisions() {
        return new Decisions(
            before, after, ChainPosition.of(numbers), contexts, oldLogProb, advantage);
      }
    }

    /** What a decision is now; no divergence without a KL weight. */
    private record Judged(Tensor logProb, Tensor kl) {}

    /**
     * What came out, to be read before the next pass.
     *
     * @param loss the share
     * @param logProb of each decision now
     * @param kl of each decision to the reference, or null
     */
    record Outcome(Tensor loss, Tensor logProb, Tensor kl) {}

    Pass(Policy policy, StepObjective objective, double klWeight, GradientAccumulator gradients) {
      pass =
          new BackwardPass<>(
              MethodHandles.lookup(),
              policy.device(),
              gradients,
              in -> loss(policy, objective, klWeight, in.decisions(), in.factor));
    }

    /**
     * Adds to the gradient.
     *
     * @param factor of the sum of the losses
     */
    Outcome add(Decisions d, double factor) {
      BackwardPass.Loss<Judged> out =
          pass.add(
              new Inputs(
                  d.before,
                  d.after,
                  d.at.numbers(),
                  d.contexts,
                  d.oldLogProb,
                  d.advantage,
                  d.before.device().scalar(factor)));
      return new Outcome(out.sum(), out.samples().logProb, out.samples().kl);
    }

    private static BackwardPass.Loss<Judged> loss(
        Policy policy, StepObjective objective, double klWeight, Decisions d, Tensor factor) {
      ReversePolicy process = policy.process();
      Tensor timesteps = d.at.timesteps();
      Tensor output = policy.denoiser().predict(d.before, timesteps, d.contexts);
      ReversePolicy.Step step = process.step(d.before, output, d.at);
      Tensor logProb = process.logProb(d.after, step);
      Tensor loss = objective.loss(logProb, d.oldLogProb, d.advantage);
      if (klWeight == 0) {
        return new BackwardPass.Loss<>(loss.sum().mul(factor), new Judged(logProb, null));
      }
      Tensor known =
          Tape.noGradient(() -> policy.reference().predict(d.before, timesteps, d.contexts));
      Tensor kl = process.divergence(step, process.step(d.before, known, d.at));
      Tensor penalty =
          switch (objective.penalty()) {
            case GAUSSIAN_KL -> kl;
            case OUTPUT_ERROR -> perSample(output.sub(known).square());
          };
      Tensor anchored = loss.add(penalty.mul(klWeight));
      return new BackwardPass.Loss<>(anchored.sum().mul(factor), new Judged(logProb, kl));
    }

    private static Tensor perSample(Tensor errors) {
      int n = errors.dim(0);
      return errors.reshape(n, Math.toIntExact(errors.size() / n)).mean(1);
    }

    Optional<String> captureFailure() {
      return pass.captureFailure();
    }

    @Override
    public void close() {
      pass.close();
    }
  }
}
