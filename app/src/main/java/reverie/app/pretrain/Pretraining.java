// SPDX-License-Identifier: Apache-2.0
package reverie.app.pretrain;

import java.lang.invoke.MethodHandles;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.function.BooleanSupplier;
import reverie.app.config.PretrainConfig;
import reverie.app.data.ImageFolder;
import reverie.app.data.ImageSet;
import reverie.app.data.SilkIcons;
import reverie.app.model.ModelFolder;
import reverie.app.model.ModelPrompts;
import reverie.app.run.Interruption;
import reverie.app.run.Metrics;
import reverie.app.run.Progress;
import reverie.app.run.RunFolder;
import reverie.app.text.PromptEncoder;
import reverie.autograd.nn.Parameters;
import reverie.autograd.optim.AdamW;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.LearningRate;
import reverie.autograd.optim.TrainingStep;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/**
 * Makes a base model: trains a U-Net to denoise pictures given their prompts (Ho et al. 2020, eq.
 * 14), with a running average of the weights, which is what is saved. All randomness is addressed
 * by the seed and the step, so that a run that was interrupted and resumed ends with the same bits
 * as one that was not.
 */
public final class Pretraining {
  /** The finished model's folder in the run folder. */
  public static final String MODEL = "model";

  private static final String CHECKPOINT = "checkpoint.safetensors";

  private final PretrainConfig config;
  private final RunFolder run;
  private final PromptEncoder encoder;
  private final Device device;
  private final BooleanSupplier stop;
  private final SchedulerConfig scheduler;
  private final Rng rng;
  private String example;

  private record Inputs(DenoisingLoss.Question question, Tensor context) {}

  /** The step that trains, its checkpoint, and the gradient of the mean loss of a batch. */
  private record Trained(
      TrainingStep step,
      TrainingCheckpoint state,
      BackwardPass<Inputs, BackwardPass.Nothing> pass) {}

  /**
   * Prepares a run.
   *
   * @param config the settings
   * @param run where everything goes
   * @param encoder for the prompts; its identity is kept with the model
   * @param device where to compute
   * @param stop asked after every step; true ends the run after a checkpoint
   */
  public Pretraining(
      PretrainConfig config,
      RunFolder run,
      PromptEncoder encoder,
      Device device,
      BooleanSupplier stop) {
    this.config = config;
    this.run = run;
    this.encoder = encoder;
    this.device = device;
    this.stop = stop;
    scheduler = ModelShape.scheduler(config.schedule());
    rng = Rng.of(config.seed());
  }

  /**
   * Trains from the run's checkpoint, or from the beginning if there is none, to the end; then
   * saves and measures.
   *
   * @return the folder of the model
   * @throws Interruption.Stopped if asked to stop
   */
  public Path run() {
    run.computesOn(device.describe());
    boolean icons = config.data().equals("icons");
    ImageSet training = icons ? SilkIcons.training() : ImageFolder.read(Path.of(config.data()));
    example = training.prompts().getFirst();
    ImageSet heldOut = icons ? SilkIcons.heldOut() : training.where(_ -> false);
    ImageSet real = icons ? SilkIcons.all() : training;
    PretrainingResults results =
        new PretrainingResults(config, run, encoder, device, real, training, heldOut);
    AdamW.Options options = config.optimizer().options();
    try (Parameters parameters = Parameters.random(device, rng.fork("weights"))) {
      UNetConfig shape = ModelShape.unet(config.model(), training, encoder);
      UNet model = new UNet(shape, parameters);
      run.log()
          .say(
              String.format(
                  Locale.ROOT,
                  "%,d weights, %,d pictures, %,d held out",
                  parameters.count(),
                  training.size(),
                  heldOut.size()));
      try (TrainingStep step =
              new TrainingStep(
                  parameters,
                  new TrainingStep.Settings(
                      options, config.optimizer().clipNorm(), config.emaDecay()));
          var pass =
              BackwardPass.of(
                  MethodHandles.lookup(),
                  device,
                  step.gradients(),
                  (Inputs in) -> loss(model, in))) {
        UNet average = step.average().map(weights -> new UNet(shape, weights)).orElse(model);
        TrainingCheckpoint state = new TrainingCheckpoint(step);
        train(new Trained(step, state, pass), training, average, results);
        Path folder = run.resolve(MODEL);
        folder(average, icons, training).write(folder);
        results.finish(average::forward, scheduler);
        return folder;
      }
    }
  }

  private void train(Trained trained, ImageSet training, UNet average, PretrainingResults results) {
    DenoisingBatches batches =
        new DenoisingBatches(
            training, encoder, config.batchSize(), config.promptDropout(), rng.fork("data"));
    Path checkpoint = run.resolve(CHECKPOINT);
    long done = Files.exists(checkpoint) ? trained.state.read(checkpoint) : 0;
    try (Metrics metrics = run.metrics(done + 1);
        Progress progress = Progress.start("pretraining", "steps", config.steps(), done)) {
      double losses = 0;
      while (done < config.steps()) {
        Step step = step(trained, batches, done++);
        losses += step.loss;
        if (done % config.logEvery() == 0) {
          double loss = losses / config.logEvery();
          losses = 0;
          metrics.log(
              done,
              Map.of(
                  "train/loss",
                  loss,
                  "train/gradient_norm",
                  step.norm,
                  "train/learning_rate",
                  step.rate));
          progress.note(String.format(Locale.ROOT, "loss %.4f", loss));
        }
        progress.advanceTo(done);
        if (config.sampleEvery() > 0 && done % config.sampleEvery() == 0) {
          metrics.image(done, "samples", results.gallery(average::forward, scheduler, done));
        }
        boolean stopping = stop.getAsBoolean();
        if (stopping || done % config.checkpointEvery() == 0 || done == config.steps()) {
          metrics.sync();
          trained.state.write(checkpoint);
        }
        if (stopping && done < config.steps()) {
          throw new Interruption.Stopped(
              String.format(
                  Locale.ROOT, "stopped after step %d; go on with --resume %s", done, run.path()));
        }
      }
    }
  }

  /** The model, which remembers what it was trained on. */
  private ModelFolder folder(UNet model, boolean icons, ImageSet training) {
    return new ModelFolder(
        model,
        scheduler,
        encoder.identity(),
        icons ? ModelPrompts.ofIcons() : new ModelPrompts(false, training.prompts()));
  }

  /** A prompt that the model knows, once it was trained. */
  public String example() {
    return example;
  }

  private record Step(double loss, double norm, double rate) {}

  private Tensor loss(UNet model, Inputs in) {
    return in.question.perSample(model::forward, in.context).sum().mul(1.0 / config.batchSize());
  }

  /** One optimizer step, the one that follows {@code done} others. */
  private Step step(Trained trained, DenoisingBatches batches, long done) {
    double rate =
        LearningRate.cosine(config.optimizer().learningRate(), 0, config.steps())
            .warmedUp(config.warmup())
            .at(done);
    try (Scope _ = Scope.open("training step")) {
      DenoisingBatches.Batch batch = batches.at(done, scheduler.schedule(), device);
      DenoisingLoss.Question q = DenoisingLoss.of(scheduler).question(batch.images(), batch.draw());
      trained.step.begin();
      Tensor loss = trained.pass.add(new Inputs(q, batch.context())).sum();
      double norm = trained.step.update(rate);
      return new Step(loss.item(), norm, rate);
    }
  }
}
