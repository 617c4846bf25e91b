// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import reverie.diffusion.Decoding;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Sampler;
import reverie.diffusion.SamplingStep;
import reverie.diffusion.Trajectory;
import reverie.rl.Policy;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.RewardBatch;
import reverie.rl.reward.RewardRunner;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * The experience of one epoch: chains drawn from the policy, with every latent, the log-probability
 * of every decision under the weights that drew it, and what each sample earned. Rewards are
 * computed while the next samples are drawn.
 *
 * <p>All chance of a sample is addressed by (seed, epoch, prompt, number of the sample for its
 * prompt, step), so that neither the batch size nor the order of the prompts changes it. Tensors
 * belong to the scope in which it was drawn.
 */
public final class Rollout {
  private final Policy policy;
  private final List<Prompt> prompts;
  private final Contexts contexts;
  private final List<RewardBatch> scored = new ArrayList<>();
  private final double[][] logProbs;

  /** Row {@code index * size + sample} is that sample's latent before step {@code index}. */
  private final Tensor latents;

  private double[] rewards;

  private Rollout(Policy policy, List<Prompt> prompts) {
    this.policy = policy;
    this.prompts = List.copyOf(prompts);
    int steps = policy.process().steps();
    logProbs = new double[prompts.size()][steps];
    for (double[] each : logProbs) {
      Arrays.fill(each, Double.NaN);
    }
    int elements = policy.height() * policy.width() * policy.channels();
    latents = policy.device().zeros(Math.multiplyExact(steps + 1, prompts.size()), elements);
    contexts = new Contexts(policy, prompts);
  }

  /**
   * Draws one sample per prompt given and has it scored.
   *
   * @param prompts one per sample; a prompt that is given several times gets several samples
   * @param rng the epoch's generator
   * @param batch how many are drawn at once
   * @param rewards scores every batch as soon as it is drawn
   * @param sampled is told how many are drawn
   */
  public static Rollout draw(
      Policy policy,
      List<Prompt> prompts,
      Rng rng,
      int batch,
      RewardRunner rewards,
      IntConsumer sampled) {
    try (SamplingStep step = step(policy, policy.denoiser())) {
      return draw(policy, step, prompts, 1, rng, batch, rewards, sampled);
    }
  }

  /** A step of this model's chain, to be kept from epoch to epoch. */
  static SamplingStep step(Policy policy, Denoiser denoiser) {
    return new SamplingStep(policy.process(), policy.device(), denoiser);
  }

  /**
   * The same with a step that is kept.
   *
   * @param sharing so many samples in a row start from the same x_T
   */
  static Rollout draw(
      Policy policy,
      SamplingStep step,
      List<Prompt> prompts,
      int sharing,
      Rng rng,
      int batch,
      RewardRunner rewards,
      IntConsumer sampled) {
    Rollout rollout = new Rollout(policy, prompts);
    Rng[] rows = rows(prompts, rng);
    Rng[] starts = new Rng[rows.length];
    Arrays.setAll(starts, i -> rows[i / sharing * sharing]);
    var sampler = new Sampler(policy.process(), policy.device());
    List<RewardRunner.Pending> pending = new ArrayList<>();
    for (int from = 0; from < prompts.size(); from += batch) {
      int to = Math.min(from + batch, prompts.size());
      pending.add(rewards.submit(rollout.draw(sampler, step, rows, starts, from, to)));
      sampled.accept(to);
    }
    rollout.rewards =
        pending.stream().flatMapToDouble(scores -> Arrays.stream(scores.await())).toArray();
    return rollout;
  }

  private static Rng[] rows(List<Prompt> prompts, Rng rng) {
    Map<String, Integer> seen = new HashMap<>();
    return prompts.stream()
        .map(prompt -> rng.fork(prompt.text()).fork(seen.merge(prompt.text(), 1, Integer::sum)))
        .toArray(Rng[]::new);
  }

  private RewardBatch draw(
      Sampler sampler, SamplingStep step, Rng[] rows, Rng[] starts, int from, int to) {
    float[] pixels;
    Tensor images;
    try (Scope _ = Scope.open("rollout batch")) {
      Trajectory trajectory =
          sampler.rollout(
              step,
              contexts(IntStream.range(from, to).toArray()),
              Arrays.copyOfRange(rows, from, to),
              Arrays.copyOfRange(starts, from, to),
              policy.height(),
              policy.width(),
              policy.channels());
      for (int index = 0; index < trajectory.latents().size(); index++) {
        latents
            .slice(0, row(from, index), row(to, index))
            .assign(trajectory.latents().get(index).reshape(to - from, latents.dim(1)));
      }
      for (int decision : policy.process().decisions()) {
        double[] values = trajectory.logProb(decision).toDoubles();
        for (int i = from; i < to; i++) {
          logProbs[i][decision] = values[i - from];
        }
      }
      images = policy.decoder().decode(trajectory.result());
      pixels = Decoding.unit(images).toFloats();
    }
    RewardBatch batch =
        RewardBatch.of(
            pixels, images.dim(1), images.dim(2), images.dim(3), prompts.subList(from, to));
    scored.add(batch);
    return batch;
  }

  /** Lets its tensors live as long as this scope. */
  void moveTo(Scope scope) {
    scope.adopt(latents);
    contexts.moveTo(scope);
  }

  /** How many samples there are. */
  public int size() {
    return prompts.size();
  }

  /** What each sample was drawn for. */
  public List<Prompt> prompts() {
    return prompts;
  }

  /** The text of each sample's prompt. */
  public List<String> texts() {
    return prompts.stream().map(Prompt::text).toList();
  }

  /** What each sample earned. */
  public double[] rewards() {
    return rewards.clone();
  }

  /** The batches as they were scored, in the order of the samples. */
  public List<RewardBatch> batches() {
    return List.copyOf(scored);
  }

  /**
   * Log-probability of a decision under the weights that drew it; NaN where nothing was decided.
   */
  public double logProb(int sample, int step) {
    return logProbs[sample][step];
  }

  /**
   * The contexts of these samples, {@code [samples.length, tokens, dim]}, or null for a model
   * without conditions.
   */
  public Tensor contexts(int... samples) {
    return contexts.of(samples);
  }

  /** The latent of each sample before the step given for it, {@code [samples.length, h, w, c]}. */
  public Tensor before(int[] samples, int[] steps) {
    int[] rows = IntStream.range(0, samples.length).map(i -> row(samples[i], steps[i])).toArray();
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

  private int row(int sample, int index) {
    return index * size() + sample;
  }
}
