// SPDX-License-Identifier: Apache-2.0
package reverie.app.recipe;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.PreferenceFile;
import reverie.app.data.SilkIcons;
import reverie.autograd.optim.AdamW;
import reverie.rl.Policy;
import reverie.rl.advantage.Advantages;
import reverie.rl.advantage.BatchAdvantages;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.advantage.PerPromptAdvantages;
import reverie.rl.advantage.RawAdvantages;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerListener;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.rl.objective.DiffusionDpo;
import reverie.rl.objective.Dpok;
import reverie.rl.objective.DpokPublished;
import reverie.rl.objective.Grpo;
import reverie.rl.objective.Objective;
import reverie.rl.objective.PlackettLuce;
import reverie.rl.objective.Ppod;
import reverie.rl.objective.Prdp;
import reverie.rl.objective.PreferenceObjective;
import reverie.rl.objective.RewardWeightedRegression;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.objective.ValueFunction;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;

/** From the words of a fine-tuning's configuration to what the trainer is made of. */
final class FinetuneParts {
  private FinetuneParts() {}

  static Objective objective(FinetuneConfig config) {
    FinetuneConfig.Rwr rwr = config.rwr();
    double range = config.update().clipRange();
    double limit = config.advantage().clip();
    return switch (config.objective()) {
      case DDPO_SF -> new DdpoScoreFunction();
      case DDPO_IS -> new DdpoImportanceSampled(range, limit);
      case RWR ->
          new RewardWeightedRegression(
              new RewardWeightedRegression.Exponential(rwr.beta()), rwr.perPrompt(), rwr.draws());
      case RWR_SPARSE ->
          new RewardWeightedRegression(
              new RewardWeightedRegression.Sparse(rwr.quantile()), rwr.perPrompt(), rwr.draws());
      case GRPO -> new Grpo(range, limit);
      case DPOK -> new Dpok(range, limit, valueFunction(config.dpok()));
      case DPOK_PUBLISHED -> new DpokPublished(range, valueFunction(config.dpok()));
      case DIFFUSION_DPO -> new DiffusionDpo(config.diffusionDpo().beta());
      case PRDP -> new Prdp(config.prdp().beta(), config.prdp().clipRange(), config.prdp().time());
      case PPOD -> {
        FinetuneConfig.Ppod ppod = config.ppod();
        yield new Ppod(ppod.loss(), ppod.span(), ppod.beta(), ppod.clipRange());
      }
      case PLACKETT_LUCE -> new PlackettLuce(config.plackettLuce().beta());
    };
  }

  private static ValueFunction valueFunction(FinetuneConfig.Dpok dpok) {
    return new ValueFunction(
        dpok.valueWidth(), dpok.valueLearningRate(), dpok.valueUpdates(), dpok.valueBatch());
  }

  /** The weight of the KL to the base, which some objectives have as a setting of their own. */
  private static double klWeight(FinetuneConfig config) {
    double general = config.update().klToBase();
    return switch (config.objective()) {
      case DDPO_SF, DDPO_IS, RWR, RWR_SPARSE, DIFFUSION_DPO -> general;
      case PRDP -> own(general, "prdp.beta", 0);
      case PPOD -> own(general, "ppod.beta", 0);
      case PLACKETT_LUCE -> own(general, "plackett_luce.beta", 0);
      case GRPO -> own(general, "grpo.beta", config.grpo().beta());
      case DPOK, DPOK_PUBLISHED -> own(general, "dpok.beta", config.dpok().beta());
    };
  }

  private static double own(double general, String key, double value) {
    if (general != 0) {
      throw new ConfigurationException(
          String.format(
              Locale.ROOT,
              "update.kl_to_base is %s, but this objective has a weight of its own, %s",
              general,
              key),
          String.format(Locale.ROOT, "set update.kl_to_base to 0 and %s to what you want", key));
    }
    return value;
  }

  /** A trainer of the kind that the objective needs. */
  static Trainer trainer(
      FinetuneConfig config,
      Policy policy,
      PromptSource prompts,
      Reward reward,
      TrainerListener listener) {
    String file = config.preferences();
    return switch (objective(config)) {
      case RolloutObjective objective -> {
        if (!file.isEmpty()) {
          throw new ConfigurationException(
              String.format(
                  Locale.ROOT,
                  "preferences is '%s', but %s learns from images of its own",
                  file,
                  objective.name()),
              "leave it empty, or set objective to diffusion_dpo");
        }
        yield new Trainer(
            policy,
            objective,
            advantages(config.advantage()),
            prompts,
            reward,
            settings(config),
            listener);
      }
      case PreferenceObjective objective -> {
        if (file.isEmpty()) {
          throw new ConfigurationException(
              objective.name() + " learns from preferences, but none are named",
              "make some with ./reverie preferences, and add --set preferences=FILE");
        }
        yield new Trainer(
            policy,
            objective,
            PreferenceFile.read(Path.of(file), policy.height()),
            settings(config)
                .but(it -> {
                  it.promptsPerEpoch = config.diffusionDpo().pairsPerEpoch();
                  it.samplesPerPrompt = 1;
                }));
      }
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

  private static TrainerSettings settings(FinetuneConfig config) {
    FinetuneConfig.Optimizer optimizer = config.optimizer();
    return TrainerSettings.defaults()
        .but(it -> {
          it.seed = config.seed();
          it.promptsPerEpoch = config.prompts().perEpoch();
          it.samplesPerPrompt = config.prompts().imagesEach();
          it.sharedStart = config.rollout().sharedStart();
          it.offline = config.rollout().offline();
          it.samplingBatch = config.sampling().batchSize();
          it.trainingBatch = config.update().batchSize();
          it.updatesPerEpoch = config.update().perEpoch();
          it.passes = config.update().passes();
          it.stepFraction = config.update().stepFraction();
          it.klWeight = klWeight(config);
          it.learningRate = optimizer.learningRate();
          it.warmup = config.update().warmup();
          it.optimizer =
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
