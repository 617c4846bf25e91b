// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import reverie.autograd.Tape;
import reverie.diffusion.Sampler;
import reverie.diffusion.SamplingStep;
import reverie.rl.Policy;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * What one machine of a {@link Fleet} does with a shard, under the weights that its policy has:
 * drawing, scoring and differentiating have the memory of large steps in turn.
 */
public final class Worker implements AutoCloseable {
  private final Policy policy;
  private final TrainerSettings settings;
  private final SamplingStep sampling;
  private final Scoring current;
  private final Scoring reference;
  private final Pass pass;

  /** Captures nothing yet. */
  public Worker(Fleet.Job job) {
    policy = job.policy();
    settings = job.settings();
    sampling =
        new SamplingStep(
            policy.process(),
            policy.device(),
            settings.offline() ? policy.reference() : policy.denoiser());
    current = new Scoring(policy, policy.denoiser(), settings.trainingBatch());
    reference = new Scoring(policy, policy.reference(), settings.trainingBatch());
    pass = Pass.of(job);
  }

  /**
   * Draws a shard's samples; their tensors belong to the open scope.
   *
   * @param drawing of the shard's samples alone
   * @param first number of the first among the epoch's
   * @param drawn is given the images of every batch as soon as it is drawn
   */
  public Rollout draw(Drawing drawing, int first, Consumer<RewardBatch> drawn) {
    pass.discard();
    discardScoring();
    return Rollout.draw(policy, sampling, drawing, first, settings.samplingBatch(), drawn);
  }

  /**
   * Images of a model, {@code [n, h, w, c]} as the policy decodes them.
   *
   * @param some what is drawn at once
   * @param drawn is given the images as a reward sees them
   */
  public float[] images(Fleet.Under model, Drawing some, Consumer<RewardBatch> drawn) {
    try (Scope _ = Scope.open("images")) {
      Tensor images =
          Tape.noGradient(() ->
              policy
                  .decoder()
                  .decode(
                      new Sampler(policy.process(), policy.device())
                          .sample(
                              model == Fleet.Under.CURRENT ? policy.denoiser() : policy.reference(),
                              policy.encoder().encode(some.prompts()),
                              some.rows(),
                              policy.height(),
                              policy.width(),
                              policy.channels())));
      drawn.accept(Rollout.batch(images, some.prompts()));
      return images.toFloats();
    }
  }

  /** Log-probabilities of decisions of some of its samples, as of {@link Fleet#logProbs}. */
  public double[][] logProbs(Rollout rollout, Fleet.Under model, int... samples) {
    sampling.discard();
    pass.discard();
    return (model == Fleet.Under.CURRENT ? current : reference).of(rollout, samples);
  }

  /**
   * Adds the gradient of a shard's batches to the job's gradients.
   *
   * @param update to which they belong
   * @param trained is told of every backward pass how many rows it had
   */
  public List<Update.Outcome> differentiate(
      Rollout rollout, List<Update.Batch> batches, Update update, IntConsumer trained) {
    sampling.discard();
    discardScoring();
    policy.device().backend().trim();
    List<Update.Outcome> outcomes = new ArrayList<>();
    for (Update.Batch batch : batches) {
      Learner.checkInterrupted();
      try (Scope _ = Scope.open("batch")) {
        outcomes.add(pass.add(rollout, batch, update, trained));
      }
    }
    return outcomes;
  }

  private void discardScoring() {
    current.discard();
    reference.discard();
  }

  /** Why something cannot be captured; empty if all can, or nothing ran yet. */
  public Optional<String> captureFailure() {
    return sampling
        .captureFailure()
        .or(current::captureFailure)
        .or(reference::captureFailure)
        .or(pass::captureFailure);
  }

  @Override
  public void close() {
    sampling.close();
    current.close();
    reference.close();
    pass.close();
  }
}
