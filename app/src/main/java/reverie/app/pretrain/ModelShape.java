// SPDX-License-Identifier: Apache-2.0
package reverie.app.pretrain;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import reverie.app.config.ConfigurationException;
import reverie.app.config.PretrainConfig;
import reverie.app.data.ImageSet;
import reverie.app.text.PromptEncoder;
import reverie.diffusion.NoiseSchedule;
import reverie.diffusion.Prediction;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.TimestepGrid;
import reverie.tensor.ReverieException;
import reverie.unet.UNetConfig;

/** From the words of a pretraining's configuration to a model and its schedule. */
final class ModelShape {
  private ModelShape() {}

  /** The U-Net for images of this size and prompts of this encoder, in diffusers' words. */
  static UNetConfig unet(PretrainConfig.Model model, ImageSet images, PromptEncoder encoder) {
    int levels = model.blockOutChannels().size();
    if (model.crossAttention().size() != levels) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "model: block_out_channels has %d levels, but cross_attention has %d",
              levels,
              model.crossAttention().size()),
          "give one entry for each level");
    }
    requireDivisible(model.blockOutChannels(), "norm_num_groups", model.normNumGroups());
    requireDivisible(model.blockOutChannels(), "attention_head_dim", model.attentionHeadDim());
    int multiple = 1 << (levels - 1);
    if (images.height() % multiple != 0) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "model: images of %d×%d cannot be halved %d times",
              images.width(),
              images.height(),
              levels - 1),
          "give fewer block_out_channels, or images whose sides are multiples of " + multiple);
    }
    List<String> down =
        model.crossAttention().stream()
            .map(cross -> cross ? "CrossAttnDownBlock2D" : "DownBlock2D")
            .toList();
    List<String> up =
        model.crossAttention().reversed().stream()
            .map(cross -> cross ? "CrossAttnUpBlock2D" : "UpBlock2D")
            .toList();
    Map<String, Object> config = new LinkedHashMap<>();
    config.put("_class_name", "UNet2DConditionModel");
    config.put("sample_size", images.height());
    config.put("in_channels", ImageSet.CHANNELS);
    config.put("out_channels", ImageSet.CHANNELS);
    config.put("down_block_types", down);
    config.put("mid_block_type", "UNetMidBlock2DCrossAttn");
    config.put("up_block_types", up);
    config.put("block_out_channels", model.blockOutChannels());
    config.put("layers_per_block", model.layersPerBlock());
    config.put("attention_head_dim", model.attentionHeadDim());
    config.put("cross_attention_dim", encoder.dimensions());
    config.put("norm_num_groups", model.normNumGroups());
    return UNetConfig.of(config);
  }

  private static void requireDivisible(List<Integer> channels, String key, int parts) {
    if (channels.stream().anyMatch(n -> n % parts != 0)) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "model: block_out_channels %s cannot be divided into %s %d",
              channels,
              key,
              parts),
          "give channels that are multiples of it");
    }
  }

  /**
   * The schedule. Sampling ends at the clean image and begins at the noisiest timestep, so that few
   * steps suffice; nothing is clipped, which keeps the policy's mean linear in the model's output.
   */
  static SchedulerConfig scheduler(PretrainConfig.Schedule schedule) {
    if (schedule.prediction() == PretrainConfig.Prediction.FLOW) {
      return SchedulerConfig.flow(schedule.shift())
          .withTrainSteps(schedule.trainSteps())
          .withSpacing(TimestepGrid.Spacing.TRAILING, 0);
    }
    SchedulerConfig.BetaSchedule beta =
        switch (schedule.beta()) {
          case LINEAR -> SchedulerConfig.BetaSchedule.LINEAR;
          case SCALED_LINEAR -> SchedulerConfig.BetaSchedule.SCALED_LINEAR;
          case SQUAREDCOS_CAP_V2 -> SchedulerConfig.BetaSchedule.SQUAREDCOS_CAP_V2;
        };
    Prediction prediction =
        switch (schedule.prediction()) {
          case EPSILON -> Prediction.EPSILON;
          case V_PREDICTION -> Prediction.V_PREDICTION;
          case SAMPLE -> Prediction.SAMPLE;
          case FLOW -> Prediction.FLOW;
        };
    return SchedulerConfig.defaults()
        .withBetas(beta, 1e-4, 0.02)
        .withTrainSteps(schedule.trainSteps())
        .withPrediction(prediction)
        .withSpacing(TimestepGrid.Spacing.TRAILING, 0)
        .withEndsClean(true)
        .withoutClipping();
  }

  /** The noise of training: that of the scheduler, of a flow with the density that is wanted. */
  static NoiseSchedule noise(PretrainConfig.Schedule schedule, SchedulerConfig scheduler) {
    if (schedule.density() == PretrainConfig.Density.UNIFORM) {
      return scheduler.schedule();
    }
    double shift =
        scheduler
            .flow()
            .orElseThrow(() ->
                new ConfigurationException(
                    "schedule.density is for flows, but base is a model that predicts "
                        + scheduler.prediction().key(),
                    "leave it out"))
            .shift();
    return NoiseSchedule.logitNormalFlow(scheduler.trainSteps(), shift, 0, 1);
  }
}
