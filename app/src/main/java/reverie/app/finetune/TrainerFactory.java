// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.nio.file.Path;
import java.util.function.Function;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.PreferenceFile;
import reverie.rl.Policy;
import reverie.rl.advantage.Advantages;
import reverie.rl.advantage.BatchAdvantages;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.advantage.PerPromptAdvantages;
import reverie.rl.advantage.RawAdvantages;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerListener;
import reverie.rl.objective.PreferenceObjective;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;

/** Makes a trainer of the kind that the objective needs. */
final class TrainerFactory {
  private TrainerFactory() {}

  static Trainer of(
      FinetuneConfig config,
      FinetuneModel model,
      PromptSource prompts,
      Reward reward,
      TrainerListener listener,
      Function<Fleet.Job, Fleet> fleets) {
    String file = config.preferences();
    Policy policy = model.policy();
    return switch (config.objective()) {
      case RolloutObjective objective -> {
        if (!file.isEmpty()) {
          throw new ConfigurationException(
              "preferences is '"
                  + file
                  + "', but "
                  + objective.name()
                  + " learns from images of its own",
              "leave it empty, or set objective to diffusion_dpo");
        }
        yield new Trainer(
            policy,
            objective,
            advantages(config.advantage()),
            prompts,
            reward,
            config.training(),
            listener,
            fleets);
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
            model.drawn(PreferenceFile.read(Path.of(file), model.sampler().size())),
            config.training());
      }
    };
  }

  private static Advantages advantages(FinetuneConfig.Advantage advantage) {
    return switch (advantage.baseline()) {
      case GROUP -> new GroupAdvantages(advantage.scale(), advantage.deviation());
      case BATCH -> new BatchAdvantages();
      case PER_PROMPT -> new PerPromptAdvantages(advantage.bufferSize(), advantage.bufferMinimum());
      case NONE -> new RawAdvantages();
    };
  }
}
