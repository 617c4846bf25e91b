// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import reverie.app.text.LetterEncoder;
import reverie.app.text.PromptStates;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.Policy;
import reverie.rl.Statistics;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.Precision;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/** A small model of icons, trained by reward on a CUDA device that is emulated. */
@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class TrainingPrecisionTest {
  private static final int EPOCHS = 3;
  private static final int IMAGES = 8;
  private static final int SIZE = 4;
  private static final LetterEncoder ENCODER = new LetterEncoder();
  private static final Reward BRIGHTNESS =
      Reward.named("brightness", TrainingPrecisionTest::brightness);

  private static double[] brightness(RewardBatch batch) {
    int each = batch.values().length / batch.size();
    double[] scores = new double[batch.size()];
    for (int i = 0; i < batch.values().length; i++) {
      scores[i / each] += batch.values()[i] / each;
    }
    return scores;
  }

  /** The rewards of each epoch. */
  private static List<Statistics> train(Precision precision) {
    Device device = new Device(HostCuda.backend(precision));
    UNetConfig config =
        UNetConfig.parse(
            """
            {"_class_name": "UNet2DConditionModel", "sample_size": 4, "in_channels": 3, "out_channels": 3,
             "down_block_types": ["DownBlock2D"], "mid_block_type": "UNetMidBlock2DCrossAttn",
             "up_block_types": ["UpBlock2D"], "block_out_channels": [8], "layers_per_block": 1,
             "attention_head_dim": 1, "cross_attention_dim": 1, "norm_num_groups": 2}
            """);
    TrainerSettings settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.seed(3);
              it.promptsPerEpoch(2);
              it.samplesPerPrompt(IMAGES / 2);
              it.samplingBatch(IMAGES);
              it.trainingBatch(2 * IMAGES);
              it.updatesPerEpoch(1);
              it.learningRate(1e-2);
            });
    try (UNet unet = UNet.random(config, device, Rng.of(2))) {
      Policy policy =
          new Policy(
              ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 2, 1),
              Prediction.EPSILON,
              unet::forward,
              null,
              unet.parameters(),
              asked -> PromptStates.of(device, ENCODER, asked.stream().map(Prompt::text).toList()),
              SIZE,
              SIZE,
              3);
      try (Trainer trainer =
          new Trainer(
              policy,
              new DdpoScoreFunction(),
              new GroupAdvantages(),
              PromptSource.of("cat", "horse"),
              BRIGHTNESS,
              settings)) {
        return Stream.generate(() -> trainer.epoch().rewards()).limit(EPOCHS).toList();
      }
    }
  }

  @Test
  void inBfloat16TheRewardRisesAsInFloat32() {
    List<Statistics> expected = train(Precision.FLOAT32);
    List<Statistics> got = train(Precision.BF16);
    assertTrue(got.getLast().mean() > got.getFirst().mean() + 0.05, got::toString);
    for (int i = 0; i < EPOCHS; i++) {
      double noise = expected.get(i).std() / Math.sqrt(IMAGES);
      assertEquals(expected.get(i).mean(), got.get(i).mean(), noise, "epoch " + i);
    }
    assertNotEquals(expected, got);
  }
}
