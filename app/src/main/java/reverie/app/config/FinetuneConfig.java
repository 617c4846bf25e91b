// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.util.List;
import java.util.Map;
import reverie.rl.advantage.GroupAdvantages;

/**
 * All settings of {@code reverie finetune}. What each means stands in {@code
 * finetune/defaults.yaml}.
 *
 * @param model folder of the base model, or "icons" for the one that Reverie ships
 * @param objective what is optimised
 * @param reward what is sought
 * @param watch what is measured besides, in every epoch
 * @param prompts where prompts come from
 * @param preferences a file of pairs of images and choices, for objectives that learn from one
 * @param sampling how images are drawn
 * @param rollout which images are learnt from
 * @param advantage how rewards become advantages
 * @param update how a rollout is learnt from
 * @param rwr reward-weighted regression
 * @param grpo the GRPO form
 * @param dpok DPOK
 * @param diffusionDpo Diffusion-DPO
 * @param prdp PRDP
 * @param ppod PPOD / D3PO
 * @param plackettLuce Plackett–Luce
 * @param optimizer AdamW
 * @param lora low-rank adapters, or not
 * @param ema running average of the weights
 * @param epochs rollouts, each followed by updates
 * @param evaluation what is measured before, during and after
 * @param checkpointEvery epochs between checkpoints
 * @param seed of everything random
 */
public record FinetuneConfig(
    String model,
    Objective objective,
    Reward reward,
    List<RewardName> watch,
    Prompts prompts,
    String preferences,
    Sampling sampling,
    Rollout rollout,
    Advantage advantage,
    Update update,
    Rwr rwr,
    Grpo grpo,
    Dpok dpok,
    DiffusionDpo diffusionDpo,
    Prdp prdp,
    Ppod ppod,
    PlackettLuce plackettLuce,
    Optimizer optimizer,
    Lora lora,
    Ema ema,
    @Range(min = 0) int epochs,
    Evaluation evaluation,
    @Range(min = 1) int checkpointEvery,
    long seed) {

  /** Names the model that Reverie ships, and the names of its icons as prompts. */
  public static final String ICONS = "icons";

  /** What is optimised; a page each in docs/algorithms. */
  public enum Objective {
    /** Score function. */
    DDPO_SF,
    /** Importance sampling with clipping. */
    DDPO_IS,
    /** Reward-weighted regression with exponential weights. */
    RWR,
    /** Reward-weighted regression on the best samples only. */
    RWR_SPARSE,
    /** The clipped surrogate with group advantages and KL. */
    GRPO,
    /** The clipped surrogate with a value baseline and KL. */
    DPOK,
    /** DPOK as its public code has it. */
    DPOK_PUBLISHED,
    /** Preferences from a file. */
    DIFFUSION_DPO,
    /** Reward differences as log-ratios. */
    PRDP,
    /** Choices between an epoch's images, that of D3PO too. */
    PPOD,
    /** Rankings of an epoch's images. */
    PLACKETT_LUCE
  }

  /** What is sought. */
  public enum RewardName {
    /** A small JPEG. */
    JPEG_COMPRESSIBILITY,
    /** A large JPEG. */
    JPEG_INCOMPRESSIBILITY,
    /** Strong and varied colours. */
    COLOURFULNESS,
    /** Pictures whose nearest icon has the prompt's first word. */
    RECOGNISED,
    /** What a program of the user says. */
    COMMAND
  }

  /** With what a reward is compared. */
  public enum Baseline {
    /** The other images of the same prompt in this epoch. */
    GROUP,
    /** All images of this epoch. */
    BATCH,
    /** The same prompt's images of this and earlier epochs. */
    PER_PROMPT,
    /** Nothing: the reward itself. */
    NONE
  }

  /**
   * The reward.
   *
   * @param name which
   * @param command the user's program and its arguments, for the reward "command"
   * @param timeoutSeconds how long one batch may take
   */
  public record Reward(
      RewardName name, List<String> command, @Range(min = 0, above = true) double timeoutSeconds) {}

  /**
   * Prompts.
   *
   * @param source "icons" for the names of the icons, "template", or a text file with a prompt a
   *     line
   * @param template a text with slots, {@code "a {colour} {animal}"}
   * @param slots the words of each slot
   * @param perEpoch different prompts in an epoch
   * @param imagesEach images of each prompt in an epoch
   */
  public record Prompts(
      String source,
      String template,
      Map<String, List<String>> slots,
      @Range(min = 1) int perEpoch,
      @Range(min = 1) int imagesEach) {}

  /**
   * The reverse process.
   *
   * @param steps T
   * @param eta 1 is DDPM's variance, 0 deterministic
   * @param guidance scale of classifier-free guidance; 1 is off
   * @param batchSize images in one pass through the model
   */
  public record Sampling(
      @Range(min = 1, max = 1000) int steps,
      @Range(min = 0, max = 1) double eta,
      @Range(min = 0, max = 100) double guidance,
      @Range(min = 1) int batchSize) {}

  /**
   * Images to learn from.
   *
   * @param sharedStart whether a prompt's images in an epoch start from the same noise
   * @param offline whether the base model draws them once for all epochs
   */
  public record Rollout(boolean sharedStart, boolean offline) {}

  /**
   * From rewards to advantages.
   *
   * @param baseline with what a reward is compared
   * @param scale whose standard deviation a group's advantages are divided by
   * @param deviation which standard deviation that is
   * @param bufferSize rewards of a prompt that are remembered, for "per_prompt"
   * @param bufferMinimum rewards that a prompt needs for statistics of its own, for "per_prompt"
   * @param clip advantages are clamped to ± this
   */
  public record Advantage(
      Baseline baseline,
      GroupAdvantages.Scale scale,
      GroupAdvantages.Deviation deviation,
      @Range(min = 1) int bufferSize,
      @Range(min = 1) int bufferMinimum,
      @Range(min = 0, above = true) double clip) {}

  /**
   * Learning from a rollout.
   *
   * @param perEpoch optimizer steps on one rollout, each on its share of it
   * @param passes how often the rollout is gone through
   * @param batchSize (image, step) pairs in one pass through the model
   * @param stepFraction share of an image's steps that is trained
   * @param clipRange ε of the clipped ratio
   * @param klToBase weight of the KL divergence to the base model, for ddpo_sf and ddpo_is
   * @param warmup optimizer steps over which the learning rate rises
   */
  public record Update(
      @Range(min = 1) int perEpoch,
      @Range(min = 1) int passes,
      @Range(min = 1) int batchSize,
      @Range(min = 0, above = true, max = 1) double stepFraction,
      @Range(min = 0, above = true) double clipRange,
      @Range(min = 0) double klToBase,
      @Range(min = 0) int warmup) {}

  /**
   * Reward-weighted regression.
   *
   * @param beta inverse temperature of the exponential weights
   * @param quantile below it a sample is left out, for the sparse weights
   * @param perPrompt whether rewards compete with those of the same prompt only
   * @param draws (timestep, noise) pairs per sample and update
   */
  public record Rwr(
      @Range(min = 0, above = true) double beta,
      @Range(min = 0, max = 1) double quantile,
      boolean perPrompt,
      @Range(min = 1) int draws) {}

  /**
   * The GRPO form.
   *
   * @param beta weight of the KL divergence to the base model
   */
  public record Grpo(@Range(min = 0) double beta) {}

  /**
   * DPOK.
   *
   * @param beta weight of the KL divergence (published: the error of the outputs) to the base model
   * @param valueWidth of the hidden layers of the value function
   * @param valueLearningRate of the value function
   * @param valueUpdates regression steps per epoch
   * @param valueBatch decisions in each
   */
  public record Dpok(
      @Range(min = 0) double beta,
      @Range(min = 1) int valueWidth,
      @Range(min = 0, above = true, max = 1) double valueLearningRate,
      @Range(min = 0) int valueUpdates,
      @Range(min = 1) int valueBatch) {}

  /**
   * Diffusion-DPO.
   *
   * @param beta strength of the pull to the base model, in the units of the authors' code
   * @param pairsPerEpoch pairs that are learnt from in an epoch
   */
  public record DiffusionDpo(
      @Range(min = 0, above = true) double beta, @Range(min = 1) int pairsPerEpoch) {}

  /**
   * PRDP.
   *
   * @param beta weight of the KL divergence to the base model
   * @param clipRange of a step's log-ratio round that at the beginning of the epoch
   * @param time how the log-ratios of an image's steps become one number
   */
  public record Prdp(
      @Range(min = 0, above = true) double beta,
      @Range(min = 0, above = true) double clipRange,
      reverie.rl.objective.Prdp.Time time) {}

  /**
   * PPOD / D3PO.
   *
   * @param loss of a pair
   * @param span what is compared
   * @param beta weight of the KL divergence to the base model
   * @param clipRange of a step's ratio to the base model
   */
  public record Ppod(
      reverie.rl.objective.Ppod.Link loss,
      reverie.rl.objective.Ppod.Span span,
      @Range(min = 0, above = true) double beta,
      @Range(min = 0, above = true) double clipRange) {}

  /**
   * Plackett–Luce.
   *
   * @param beta weight of the KL divergence to the base model
   */
  public record PlackettLuce(@Range(min = 0, above = true) double beta) {}

  /**
   * AdamW.
   *
   * @param learningRate constant
   * @param beta1 of the first moment
   * @param beta2 of the second moment
   * @param epsilon in the denominator
   * @param weightDecay decoupled
   * @param clipNorm largest gradient norm; 0 is off
   */
  public record Optimizer(
      @Range(min = 0, max = 1) double learningRate,
      @Range(min = 0, max = 1) double beta1,
      @Range(min = 0, max = 1) double beta2,
      @Range(min = 0, max = 1) double epsilon,
      @Range(min = 0) double weightDecay,
      @Range(min = 0) double clipNorm) {}

  /**
   * Low-rank adapters.
   *
   * @param rank 0 trains all weights instead
   * @param alpha scale: the adapter's output counts alpha/rank
   */
  public record Lora(@Range(min = 0) int rank, @Range(min = 0) double alpha) {}

  /**
   * Running average of the weights, which is then the model that is evaluated and saved.
   *
   * @param decay 0 is off
   */
  public record Ema(@Range(min = 0, max = 1) double decay) {}

  /**
   * Measuring on fixed prompts and seeds.
   *
   * @param samples images before and after, on training prompts and on held-out ones each
   * @param every epochs between two points of the frontier
   * @param everySamples images for such a point
   */
  public record Evaluation(
      @Range(min = 2) int samples, @Range(min = 1) int every, @Range(min = 2) int everySamples) {}
}
