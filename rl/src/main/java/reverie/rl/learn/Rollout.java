// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.io.Serializable;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import reverie.diffusion.Decoding;
import reverie.diffusion.Sampler;
import reverie.diffusion.SamplingStep;
import reverie.diffusion.Trajectory;
import reverie.rl.Policy;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Chains of some samples of an epoch in a row, drawn from the policy: every latent, and the
 * log-probability of every decision under the weights that drew it. Tensors belong to the scope in
 * which it was drawn.
 */
public final class Rollout implements ChainStates {
  private final Policy policy;
  private final Stored stored;
  private final Contexts contexts;

  /** Row {@code index * size + sample} is that sample's latent before step {@code index}. */
  private final Tensor latents;

  /**
   * A rollout as it travels and rests.
   *
   * @param first number of its first sample in the epoch
   * @param prompts one per sample
   * @param logProbs for each sample, one per step; NaN where nothing was decided
   * @param latents those of all samples before the first step, before the second …, after the last
   */
  public record Stored(int first, List<Prompt> prompts, double[][] logProbs, float[] latents)
      implements Serializable {}

  private Rollout(Policy policy, Stored stored) {
    this.policy = policy;
    this.stored = stored;
    int rows = Math.multiplyExact(policy.process().steps() + 1, stored.prompts.size());
    int elements = policy.height() * policy.width() * policy.channels();
    latents =
        stored.latents == null
            ? policy.device().zeros(rows, elements)
            : policy.device().tensor(stored.latents, rows, elements);
    contexts = new Contexts(policy, stored.prompts);
  }

  /** Gives it back its tensors, in the open scope. */
  public static Rollout of(Policy policy, Stored stored) {
    return new Rollout(policy, stored);
  }

  /** Without tensors. */
  public Stored stored() {
    return new Stored(stored.first, stored.prompts, stored.logProbs, latents.toFloats());
  }

  /**
   * Draws one sample per prompt given, all of an epoch.
   *
   * @param rng the epoch's generator
   * @param batch how many are drawn at once
   * @param drawn is given the images of every batch
   */
  public static Rollout draw(
      Policy policy, List<Prompt> prompts, Rng rng, int batch, Consumer<RewardBatch> drawn) {
    try (var step = new SamplingStep(policy.process(), policy.device(), policy.denoiser())) {
      return draw(policy, step, Drawing.of(prompts, 1, rng, null), 0, batch, drawn);
    }
  }

  /**
   * Draws samples of an epoch with a step that is kept; {@code first} is the number of the first.
   */
  static Rollout draw(
      Policy policy,
      SamplingStep step,
      Drawing drawing,
      int first,
      int batch,
      Consumer<RewardBatch> drawn) {
    int size = drawing.prompts().size();
    double[][] logProbs = new double[size][policy.process().steps()];
    for (double[] each : logProbs) {
      Arrays.fill(each, Double.NaN);
    }
    Policy deciding = drawing.along(policy);
    Rollout rollout = new Rollout(deciding, new Stored(first, drawing.prompts(), logProbs, null));
    var sampler = new Sampler(deciding.process(), policy.device());
    for (int from = 0; from < size; from += batch) {
      drawn.accept(rollout.draw(sampler, step, drawing, from, Math.min(from + batch, size)));
    }
    return rollout;
  }

  private RewardBatch draw(Sampler sampler, SamplingStep step, Drawing drawing, int from, int to) {
    Drawing some = drawing.range(from, to);
    int first = stored.first;
    try (Scope _ = Scope.open("rollout batch")) {
      Trajectory trajectory =
          sampler.rollout(
              step,
              contexts(IntStream.range(first + from, first + to).toArray()),
              some.rows(),
              some.starts(),
              policy.height(),
              policy.width(),
              policy.channels());
      for (int index = 0; index < trajectory.latents().size(); index++) {
        latents
            .slice(0, index * size() + from, index * size() + to)
            .assign(trajectory.latents().get(index).reshape(to - from, latents.dim(1)));
      }
      for (int decision : policy.process().decisions()) {
        double[] values = trajectory.logProb(decision).toDoubles();
        for (int i = from; i < to; i++) {
          stored.logProbs[i][decision] = values[i - from];
        }
      }
      return batch(policy.decoder().decode(trajectory.result()), some.prompts());
    }
  }

  /** Decoded images as a reward sees them. */
  static RewardBatch batch(Tensor images, List<Prompt> prompts) {
    return RewardBatch.of(
        Decoding.unit(images).toFloats(), images.dim(1), images.dim(2), images.dim(3), prompts);
  }

  /** Lets its tensors live as long as this scope. */
  public void moveTo(Scope scope) {
    scope.adopt(latents);
    contexts.moveTo(scope);
  }

  /** What each sample was drawn for. */
  public List<Prompt> prompts() {
    return stored.prompts;
  }

  /** How many samples there are. */
  public int size() {
    return stored.prompts.size();
  }

  /**
   * Log-probabilities of each sample's decisions under the weights that drew them, one per step;
   * NaN where nothing was decided.
   */
  public double[][] logProbs() {
    return stored.logProbs;
  }

  @Override
  public Tensor contexts(int... samples) {
    return contexts.of(IntStream.of(samples).map(sample -> sample - stored.first).toArray());
  }

  @Override
  public Tensor before(int[] samples, int[] steps) {
    int[] rows = new int[samples.length];
    Arrays.setAll(rows, i -> steps[i] * size() + samples[i] - stored.first);
    return Ops.embedding(latents, policy.device().indices(rows, rows.length))
        .reshape(rows.length, policy.height(), policy.width(), policy.channels());
  }

  /** The latent of each sample after the step given for it, {@code [samples.length, h, w, c]}. */
  public Tensor after(int[] samples, int[] steps) {
    return before(samples, Arrays.stream(steps).map(step -> step + 1).toArray());
  }

  /** The finished samples, {@code [samples.length, h, w, c]}. */
  public Tensor finished(int... samples) {
    int[] last = new int[samples.length];
    Arrays.fill(last, policy.process().steps());
    return before(samples, last);
  }
}
