// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.util.List;
import java.util.function.BiFunction;
import java.util.function.IntConsumer;
import java.util.stream.Stream;
import reverie.app.config.FinetuneConfig;
import reverie.app.evaluate.Evaluation;
import reverie.app.model.BaseModels;
import reverie.app.model.ImageSampler;
import reverie.app.model.ModelFolder;
import reverie.app.text.PromptEncoder;
import reverie.autograd.nn.Parameters;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.Trainer;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;

/**
 * What every phase of a run needs: the model, the trainer, the rewards and the prompts, made before
 * there is a folder, so that what cannot work is said first.
 */
final class FinetuneWork implements AutoCloseable {
  private final FinetuneConfig config;
  private final BiFunction<FinetuneModel, Fleet.Job, Fleet> fleets;
  private final Scope scope = Scope.open("fine-tuning");
  private final Parts parts = new Parts();
  private FinetuneModel model;
  private Trainer trainer;

  /** The trainer's; null for one that draws nothing. */
  private Fleet fleet;

  private Watch watch;
  private Evaluation evaluation;
  private List<Prompt> training;
  private List<Prompt> heldOut;

  FinetuneWork(
      FinetuneConfig config,
      BiFunction<FinetuneModel, Fleet.Job, Fleet> fleets,
      PromptEncoder encoder,
      Device device) {
    this.config = config;
    this.fleets = fleets;
    try {
      open(encoder, device);
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  private void open(PromptEncoder encoder, Device device) {
    ModelFolder folder = BaseModels.read(config.model(), encoder, device, config.weights().dtype());
    model = parts.opened(new FinetuneModel(folder, config, encoder, device));
    requireRoom(config, model.sampler());
    Stream.concat(Stream.of(config.reward()), config.watch().stream())
        .forEach(choice -> folder.prompts().requireFit(choice.kind()));
    RunPrompts asked = new RunPrompts(config.prompts(), folder.prompts(), folder.isConditional());
    PromptSource.Split split = asked.split();
    int limit = config.prompts().limit();
    PromptSource prompts =
        limit == 0
            ? split.training()
            : split.training().limited(limit, Rng.of(config.seed()).fork("prompts"));
    Reward reward = parts.opened(config.reward().make());
    reward.start();
    watch = parts.opened(Watch.of(config));
    watch.rewards().forEach(Reward::start);
    trainer =
        parts.opened(
            TrainerFactory.of(
                config,
                model,
                prompts,
                reward,
                watch,
                job -> {
                  fleet = fleets.apply(model, job);
                  return fleet;
                }));
    trainer.identify(model.identity());
    evaluation =
        new Evaluation(
            model.sampler(),
            device,
            reward,
            config.training().rewardTimeout(),
            asked.areTheModels() ? folder.prompts().recognition() : null,
            config.seed());
    heldOut = split.heldOut() == null ? List.of() : split.heldOut().all();
    training = prompts.all();
  }

  /** The images of an evaluation, and those of an epoch, lie in the heap at once. */
  private static void requireRoom(FinetuneConfig config, ImageSampler sampler) {
    sampler.requireRoom(config.evaluation().samples());
    sampler.requireRoom(config.evaluation().everySamples());
    if (config.objective() instanceof RolloutObjective) {
      sampler.requireRoom(config.training().samplesPerEpoch());
    }
  }

  FinetuneModel model() {
    return model;
  }

  Trainer trainer() {
    return trainer;
  }

  Watch watch() {
    return watch;
  }

  Evaluation evaluation() {
    return evaluation;
  }

  /** The prompts that are trained on. */
  List<Prompt> training() {
    return training;
  }

  /** Prompts that the model was never trained on; may be none. */
  List<Prompt> heldOut() {
    return heldOut;
  }

  /** The moving average of the trained parameters, or null. */
  Parameters average() {
    return trainer.average().orElse(null);
  }

  /** Measures the trained model or the one that it began as, where the run computes. */
  Evaluation.Result measure(Fleet.Under whose, List<Prompt> prompts, IntConsumer progress) {
    boolean trained = whose == Fleet.Under.CURRENT;
    return model.during(
        trained ? average() : null,
        () ->
            fleet != null
                ? evaluation.of(fleet, whose, prompts, progress)
                : evaluation.of(
                    trained ? model.denoiser() : model.baseDenoiser(), prompts, progress));
  }

  @Override
  public void close() {
    parts.close();
    scope.close();
  }
}
