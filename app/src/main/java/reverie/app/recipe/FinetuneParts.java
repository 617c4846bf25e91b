// SPDX-License-Identifier: Apache-2.0
package reverie.app.recipe;

import java.nio.file.Path;
import java.time.Duration;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.SilkIcons;
import reverie.autograd.optim.AdamW;
import reverie.rl.TrainerSettings;
import reverie.rl.advantage.Advantages;
import reverie.rl.advantage.BatchAdvantages;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.advantage.PerPromptAdvantages;
import reverie.rl.advantage.RawAdvantages;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.rl.objective.RewardWeightedRegression;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.prompt.PromptSource;

/** From the words of a fine-tuning's configuration to what the trainer is made of. */
final class FinetuneParts {
  private FinetuneParts() {}

  static RolloutObjective objective(FinetuneConfig config) {
    FinetuneConfig.Rwr rwr = config.rwr();
    return switch (config.objective()) {
      case DDPO_SF -> new DdpoScoreFunction();
      case DDPO_IS ->
          new DdpoImportanceSampled(config.update().clipRange(), config.advantage().clip());
      case RWR ->
          new RewardWeightedRegression(
              new RewardWeightedRegression.Exponential(rwr.beta()), rwr.perPrompt(), rwr.draws());
      case RWR_SPARSE ->
          new RewardWeightedRegression(
              new RewardWeightedRegression.Sparse(rwr.quantile()), rwr.perPrompt(), rwr.draws());
    };
  }

  static Advantages advantages(FinetuneConfig.Advantage advantage) {
    return switch (advantage.baseline()) {
      case GROUP -> new GroupAdvantages(advantage.scale(), advantage.deviation());
      case BATCH -> new BatchAdvantages();
      case PER_PROMPT -> new PerPromptAdvantages(advantage.bufferSize(), advantage.bufferMinimum());
      case NONE -> new RawAdvantages();
    };
  }

  static PromptSource prompts(FinetuneConfig.Prompts prompts) {
    return switch (prompts.source()) {
      case FinetuneConfig.ICONS -> PromptSource.of(SilkIcons.training().prompts());
      case "template" -> PromptSource.template(prompts.template(), prompts.slots());
      default -> PromptSource.fromFile(Path.of(prompts.source()));
    };
  }

  static TrainerSettings settings(FinetuneConfig config) {
    FinetuneConfig.Optimizer optimizer = config.optimizer();
    return TrainerSettings.defaults()
        .but(it -> {
          it.seed = config.seed();
          it.promptsPerEpoch = config.prompts().perEpoch();
          it.samplesPerPrompt = config.prompts().imagesEach();
          it.samplingBatch = config.sampling().batchSize();
          it.trainingBatch = config.update().batchSize();
          it.updatesPerEpoch = config.update().perEpoch();
          it.passes = config.update().passes();
          it.stepFraction = config.update().stepFraction();
          it.klWeight = config.update().klToBase();
          it.learningRate = optimizer.learningRate();
          it.warmup = config.update().warmup();
          it.optimiser =
              new AdamW.Options(
                  optimizer.beta1(),
                  optimizer.beta2(),
                  optimizer.epsilon(),
                  optimizer.weightDecay());
          it.gradientClip =
              optimizer.clipNorm() == 0 ? Double.POSITIVE_INFINITY : optimizer.clipNorm();
          it.emaDecay = config.ema().decay();
          it.rewardTimeout =
              Duration.ofMillis(Math.max(1, Math.round(1000 * config.reward().timeoutSeconds())));
        });
  }
}
