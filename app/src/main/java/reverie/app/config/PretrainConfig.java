// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.util.List;
import java.util.Locale;
import reverie.autograd.optim.AdamW;

/**
 * All settings of {@code reverie pretrain}. What each means stands in {@code
 * pretrain/defaults.yaml}.
 *
 * @param data the name of a {@link reverie.app.data.DataSet}, or a folder of PNG files with
 *     metadata.jsonl
 * @param base folder of a model that is trained further; empty for a new one
 * @param model the U-Net
 * @param schedule the noise
 * @param steps optimizer steps
 * @param batchSize images a step
 * @param optimizer AdamW
 * @param warmup steps over which the learning rate rises before it falls as a cosine
 * @param promptDropout share of images that are learnt without their prompt
 * @param emaDecay of the running average that is saved
 * @param logEvery steps between two lines of metrics
 * @param sampleEvery steps between two grids of samples; 0 is never
 * @param checkpointEvery steps between checkpoints
 * @param sampling how grids and the final evaluation are drawn
 * @param evaluationSamples images drawn at the end for training and for held-out prompts; 0 is none
 * @param seed of everything random
 */
public record PretrainConfig(
    String data,
    String base,
    Model model,
    Schedule schedule,
    @Range(min = 1) int steps,
    @Range(min = 1, max = 100_000) int batchSize,
    Optimizer optimizer,
    @Range(min = 0) int warmup,
    @Range(min = 0, max = 1) double promptDropout,
    @Range(min = 0, max = 0.9999999) double emaDecay,
    @Range(min = 1) int logEvery,
    @Range(min = 0) int sampleEvery,
    @Range(min = 1) int checkpointEvery,
    FinetuneConfig.Sampling sampling,
    @Range(min = 0, max = 1_000_000) int evaluationSamples,
    long seed) {
  /** Reads these settings. */
  public static final ConfigurationReader<PretrainConfig> READER =
      new ConfigurationReader<>("pretrain", PretrainConfig.class, List.of());

  /** Checks that images are drawn as large as those that are learnt. */
  public PretrainConfig {
    if (!sampling.size().isOwn()) {
      throw new ConfigurationException(
          "sampling.size is "
              + sampling.size()
              + ", but samples are as large as the training's images",
          "leave it at 0, and resize the images instead");
    }
  }

  /**
   * The U-Net, in the words of diffusers' config.json.
   *
   * @param blockOutChannels channels of each level
   * @param layersPerBlock resnets a level
   * @param crossAttention whether each level attends to the prompt
   * @param attentionHeadDim heads (diffusers' name for their number)
   * @param normNumGroups groups of the group norms
   */
  public record Model(
      @Range(min = 1, max = 65_536) List<Integer> blockOutChannels,
      @Range(min = 1, max = 64) int layersPerBlock,
      List<Boolean> crossAttention,
      @Range(min = 1, max = 65_536) int attentionHeadDim,
      @Range(min = 1, max = 65_536) int normNumGroups) {}

  /**
   * AdamW.
   *
   * @param learningRate its largest value
   * @param beta1 of the first moment
   * @param beta2 of the second moment
   * @param epsilon in the denominator
   * @param weightDecay decoupled
   * @param clipNorm largest gradient norm; 0 is off
   */
  public record Optimizer(
      @Range(min = 0, above = true, max = 1) double learningRate,
      @Range(min = 0, max = 0.999999) double beta1,
      @Range(min = 0, max = 0.999999) double beta2,
      @Range(min = 0, above = true, max = 1) double epsilon,
      @Range(min = 0) double weightDecay,
      @Range(min = 0) double clipNorm) {

    /** The optimizer's options but for the learning rate. */
    public AdamW.Options options() {
      return new AdamW.Options(beta1, beta2, epsilon, weightDecay);
    }
  }

  /** How β rises. */
  public enum Beta {
    /** In even steps. */
    LINEAR,
    /** In even steps of its root. */
    SCALED_LINEAR,
    /** So that ᾱ follows a squared cosine. */
    SQUAREDCOS_CAP_V2
  }

  /** What the model predicts. */
  public enum Prediction {
    /** The noise. */
    EPSILON,
    /** The velocity. */
    V_PREDICTION,
    /** The clean image. */
    SAMPLE,
    /** From clean image to noise: flow matching. */
    FLOW
  }

  /** How σ is drawn in flow matching. */
  public enum Density {
    /** Evenly. */
    UNIFORM,
    /** As the logistic function of a standard normal number (Esser et al. 2024, §3.1). */
    LOGIT_NORMAL
  }

  /**
   * The noise.
   *
   * @param beta how β rises
   * @param trainSteps of the forward process
   * @param prediction what the model predicts
   * @param density of σ in training, of a flow
   * @param shift of σ towards noise, of a flow
   */
  public record Schedule(
      Beta beta,
      @Range(min = 1, max = 100_000) int trainSteps,
      Prediction prediction,
      Density density,
      @Range(min = 0, above = true, max = 1000) double shift) {

    /** Checks that what is said of flows is said of one. */
    public Schedule {
      if (prediction != Prediction.FLOW && (density != Density.UNIFORM || shift != 1)) {
        throw new ConfigurationException(
            "schedule.density and schedule.shift are for flows, but schedule.prediction is "
                + prediction.name().toLowerCase(Locale.ROOT),
            "leave them out, or set schedule.prediction=flow");
      }
    }
  }
}
