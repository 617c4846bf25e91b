// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.autograd.optim.GradientAccumulator;
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
  private final DenoisingLoss loss;
  private final int draws;
  private final double[] weights;
  private final int batchSize;
  private final Rollout rollout;
  private final Diagnostics diagnostics;
  private final IntConsumer progress;
  private final List<Tensor> roots;

  DenoisingDriver(
      Policy policy,
      DenoisingObjective objective,
      TrainerSettings settings,
      Rollout rollout,
      Diagnostics diagnostics,
      IntConsumer progress) {
    this.policy = policy;
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
    roots = policy.parameters().trainable().stream().map(Parameter::value).toList();
  }

  @Override
  public int itemsPerSample() {
    return draws;
  }

  @Override
  public void accumulate(int[] samples, Rng rng, GradientAccumulator gradients) {
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
          differentiate(batch, rows, samples.length * draws, gradients);
        }
        progress.accept(batch.length);
      }
    }
  }

  private void differentiate(int[] batch, Rng[] rows, int total, GradientAccumulator gradients) {
    Tensor original = rollout.finished(batch);
    Tensor contexts = rollout.contexts(batch);
    DenoisingLoss.Draw draw = loss.draw(original, rows);
    double[] share = IntStream.of(batch).mapToDouble(sample -> weights[sample] / total).toArray();
    Tensor shares = policy.device().tensor(share, share.length);
    Tape.Result result =
        Tape.run(
            roots,
            () -> loss.perSample(policy.denoiser(), original, contexts, draw).mul(shares).sum());
    gradients.add(result);
    diagnostics.lost(result.loss().item());
  }
}
