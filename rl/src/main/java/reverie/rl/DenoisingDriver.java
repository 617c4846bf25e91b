// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.Arrays;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import reverie.diffusion.DenoisingLoss;
import reverie.rl.objective.DenoisingObjective;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * The gradient of a {@link DenoisingObjective}: the denoising loss of the finished samples,
 * guidance included, at random timesteps and with fresh noise for every draw. Samples of weight 0
 * are left out.
 */
final class DenoisingDriver implements Driver {
  private final Policy policy;
  private final DenoisingGradient gradient;
  private final DenoisingLoss loss;
  private final int draws;
  private final double[] weights;
  private final int batchSize;
  private final Rollout rollout;
  private final Diagnostics diagnostics;
  private final IntConsumer progress;

  DenoisingDriver(
      Policy policy,
      DenoisingObjective objective,
      DenoisingGradient gradient,
      TrainerSettings settings,
      Rollout rollout,
      Diagnostics diagnostics,
      IntConsumer progress) {
    this.policy = policy;
    this.gradient = gradient;
    this.rollout = rollout;
    this.diagnostics = diagnostics;
    this.progress = progress;
    loss =
        new DenoisingLoss(
            policy.process().schedule(), policy.prediction(), Double.POSITIVE_INFINITY);
    draws = objective.draws();
    batchSize = settings.trainingBatch();
    weights = objective.weights(rollout.texts(), rollout.rewards());
    diagnostics.weighted(weights);
  }

  @Override
  public int samples() {
    return rollout.size();
  }

  @Override
  public int itemsPerSample() {
    return draws;
  }

  @Override
  public void accumulate(int[] samples, Rng rng) {
    int[] weighted = IntStream.of(samples).filter(sample -> weights[sample] > 0).toArray();
    progress.accept((samples.length - weighted.length) * draws);
    for (int draw = 0; draw < draws; draw++) {
      for (int from = 0; from < weighted.length; from += batchSize) {
        Driver.checkInterrupted();
        int[] batch =
            Arrays.copyOfRange(weighted, from, Math.min(from + batchSize, weighted.length));
        int number = draw;
        Rng[] rows =
            IntStream.of(batch).mapToObj(sample -> rng.fork(sample, number)).toArray(Rng[]::new);
        try (Scope _ = Scope.open("denoising")) {
          differentiate(batch, rows, samples.length * draws);
        }
        progress.accept(batch.length);
      }
    }
  }

  private void differentiate(int[] batch, Rng[] rows, int total) {
    Tensor original = rollout.finished(batch);
    double[] share = IntStream.of(batch).mapToDouble(sample -> weights[sample] / total).toArray();
    DenoisingLoss.Question question =
        loss.question(original, loss.draw(original, rows))
            .weighted(policy.device().tensor(share, share.length));
    diagnostics.lost(gradient.add(question, rollout.contexts(batch)).item());
  }
}
