// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.invoke.MethodHandles;
import java.util.Optional;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.DenoisingLoss;
import reverie.rl.Policy;
import reverie.rl.objective.DenoisingObjective;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Learns by a {@link DenoisingObjective}: the denoising loss of the finished samples, guidance
 * included, at random timesteps and with fresh noise for every draw. Samples of weight 0 are left
 * out. The backward pass of a micro-batch is captured at its first use.
 */
final class DenoisingLearner implements Learner<Learner.Scored> {
  private final Policy policy;
  private final DenoisingObjective objective;
  private final TrainerSettings settings;
  private final DenoisingLoss loss;
  private final BackwardPass<Inputs, BackwardPass.Nothing> pass;
  private Rollout rollout;
  private double[] weights;
  private Diagnostics diagnostics;
  private IntConsumer trained;

  DenoisingLearner(
      Policy policy,
      DenoisingObjective objective,
      TrainerSettings settings,
      GradientAccumulator gradients) {
    Learner.requireNoKl(objective.name(), settings, "set klWeight to 0");
    this.policy = policy;
    this.objective = objective;
    this.settings = settings;
    loss =
        new DenoisingLoss(
            policy.process().schedule(), policy.prediction(), Double.POSITIVE_INFINITY);
    pass =
        BackwardPass.of(
            MethodHandles.lookup(),
            policy.device(),
            gradients,
            in -> in.noised.perSample(policy.denoiser(), in.contexts).sum());
  }

  private record Inputs(DenoisingLoss.Question noised, Tensor contexts) {}

  @Override
  public void begin(Scored experience, Diagnostics told, IntConsumer progress) {
    rollout = experience.rollout();
    diagnostics = told;
    trained = progress;
    weights = objective.weights(rollout.texts(), rollout.rewards());
    diagnostics.weights(weights);
  }

  @Override
  public int samples() {
    return rollout.size();
  }

  @Override
  public int itemsPerSample() {
    return objective.draws();
  }

  @Override
  public void accumulate(int[] samples, Rng rng) {
    int draws = objective.draws();
    double total = samples.length * draws;
    int[] weighted = IntStream.of(samples).filter(sample -> weights[sample] > 0).toArray();
    trained.accept((samples.length - weighted.length) * draws);
    for (int draw = 0; draw < draws; draw++) {
      int number = draw;
      Learner.inBatches(
          weighted,
          settings.trainingBatch(),
          batch -> {
            Rng[] rows =
                IntStream.of(batch)
                    .mapToObj(sample -> rng.fork(sample, number))
                    .toArray(Rng[]::new);
            try (Scope _ = Scope.open("denoising")) {
              differentiate(batch, rows, total);
            }
            trained.accept(batch.length);
          });
    }
  }

  private void differentiate(int[] batch, Rng[] rows, double total) {
    Tensor images = rollout.finished(batch);
    double[] share = IntStream.of(batch).mapToDouble(sample -> weights[sample] / total).toArray();
    DenoisingLoss.Question noised =
        loss.question(images, loss.draw(images, rows))
            .weighted(policy.device().tensor(share, share.length));
    Tensor sum = pass.add(new Inputs(noised, rollout.contexts(batch))).sum();
    diagnostics.addLoss(sum.item());
  }

  @Override
  public void finishEpoch(int number) {
    rollout = null;
    weights = null;
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
