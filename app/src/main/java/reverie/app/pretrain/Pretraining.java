// SPDX-License-Identifier: Apache-2.0
package reverie.app.pretrain;

import java.lang.invoke.MethodHandles;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BooleanSupplier;
import reverie.app.config.ConfigurationException;
import reverie.app.config.PretrainConfig;
import reverie.app.data.DataSet;
import reverie.app.data.ImageFolder;
import reverie.app.data.ImageSet;
import reverie.app.data.ImageSize;
import reverie.app.data.Recognition;
import reverie.app.data.Retrieval;
import reverie.app.model.BaseModels;
import reverie.app.model.ImageSampler;
import reverie.app.model.ModelFolder;
import reverie.app.model.ModelPrompts;
import reverie.app.run.Interruption;
import reverie.app.run.Metrics;
import reverie.app.run.Progress;
import reverie.app.run.RunFolder;
import reverie.app.text.PromptEncoder;
import reverie.autograd.nn.Parameters;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.LearningRate;
import reverie.autograd.optim.TrainingStep;
import reverie.diffusion.Denoiser;
import reverie.diffusion.DenoisingLoss;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/**
 * Makes a base model, or goes on with one: trains a U-Net to denoise images, or their latents,
 * given their prompts (Ho et al. 2020, eq. 14), with a running average of the weights, which is
 * what is saved. All randomness is addressed by the seed and the step, so that a run that was
 * interrupted and resumed ends with the same bits as one that was not.
 */
public final class Pretraining implements AutoCloseable {
  /** The finished model's folder in the run folder. */
  public static final String MODEL = "model";

  private static final String CHECKPOINT = "checkpoint.safetensors";

  private final PretrainConfig config;
  private final Device device;
  private final Rng rng;
  private final DataSet data;
  private final ImageSet training;
  private final ModelFolder model;
  private final PromptEncoder encoder;
  private final ImageSampler sampler;
  private final DenoisingLoss loss;
  private RunFolder run;
  private BooleanSupplier stop;

  private record Inputs(DenoisingLoss.NoisedBatch noised, Tensor context) {}

  /** The step that trains, its checkpoint, and the gradient of the mean loss of a batch. */
  private record Trained(
      TrainingStep step,
      TrainingCheckpoint state,
      BackwardPass<Inputs, BackwardPass.Nothing> pass) {}

  /**
   * Reads the images and makes the model, so that what cannot work is said before there is a
   * folder.
   *
   * @param config the settings
   * @param encoder for the prompts; its identity is kept with the model
   * @param device where to compute
   */
  public Pretraining(PretrainConfig config, PromptEncoder encoder, Device device) {
    this.config = config;
    this.device = device;
    rng = Rng.of(config.seed());
    data = DataSet.named(config.data()).orElse(null);
    PromptEncoder available = data == null ? encoder : data.encoder(encoder);
    training = data == null ? ImageFolder.read(Path.of(config.data())) : data.training();
    requireSquare(training);
    model = model(available);
    try {
      this.encoder = model.encoderOr(available);
      // As large as the training's images.
      ImageSize size = new ImageSize(training.width(), training.height());
      sampler = ImageSampler.of(model, config.sampling().sized(size), this.encoder);
      sampler.requireRoom(config.evaluationSamples());
      loss =
          new DenoisingLoss(
              ModelShape.noise(config.schedule(), model.scheduler()),
              model.scheduler().prediction(),
              Double.POSITIVE_INFINITY);
      if (model.unet().config().takesClasses()) {
        training.prompts().forEach(this.encoder::encode);
      }
    } catch (RuntimeException e) {
      model.close();
      throw e;
    }
  }

  /** A model draws squares. */
  private static void requireSquare(ImageSet images) {
    if (images.height() != images.width()) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "pretrain: expected square images, got %d×%d",
              images.width(),
              images.height()),
          "crop them");
    }
  }

  /**
   * Trains from the run's checkpoint, or from the beginning if there is none, to the end; then
   * saves and measures.
   *
   * @param folder where everything goes
   * @param asked whether to stop; asked after every step
   * @return the folder of the model
   * @throws Interruption.Stopped if asked to stop
   */
  public Path run(RunFolder folder, BooleanSupplier asked) {
    run = folder;
    stop = asked;
    run.computesOn(device.describe());
    ImageSet heldOut =
        data == null ? ImageSet.of(training.height(), training.width(), List.of()) : data.heldOut();
    Recognition recognition = data == null ? new Retrieval(training) : data.recognition();
    Parameters parameters = model.unet().parameters();
    run.log()
        .say(
            String.format(
                Locale.ROOT,
                "%,d weights, %,d images, %,d held out",
                parameters.count(),
                training.size(),
                heldOut.size()));
    PretrainingResults results =
        new PretrainingResults(config, run, sampler, device, recognition, training, heldOut);
    try (TrainingStep step =
            new TrainingStep(
                parameters,
                new TrainingStep.Settings(
                    config.optimizer().options(),
                    config.optimizer().clipNorm(),
                    config.emaDecay()));
        var pass =
            BackwardPass.of(
                MethodHandles.lookup(),
                device,
                step.gradients(),
                (Inputs in) -> meanLoss(model.denoiser(model.unet()), in))) {
      UNet average =
          step.average()
              .map(weights -> new UNet(model.unet().config(), weights))
              .orElse(model.unet());
      Denoiser denoiser = model.denoiser(average);
      var checkpoint = new TrainingCheckpoint(step, identity());
      train(new Trained(step, checkpoint, pass), denoiser, results);
      Path target = run.resolve(MODEL);
      model.with(average).write(target);
      results.finish(denoiser);
      return target;
    }
  }

  /** What the rest of a run depends on beside its settings and its state. */
  private Map<String, String> identity() {
    Map<String, String> identity = new LinkedHashMap<>();
    identity.put("images", data == null ? training.identity() : data.toString());
    identity.put("base_weights", model.weightsDigest());
    identity.put("scheduler", model.scheduler().toString());
    identity.put("kernels", device.identity());
    return identity;
  }

  /** The model to begin with, which will remember what it was trained on. */
  private ModelFolder model(PromptEncoder available) {
    ModelPrompts prompts =
        data == null ? new ModelPrompts(training.prompts()) : ModelPrompts.of(data);
    if (!config.base().isEmpty()) {
      ModelFolder base = BaseModels.read(config.base(), available, device, DType.F32);
      if (!base.isConditional()) {
        base.close();
        throw new ConfigurationException(
            "base is " + config.base() + ", a model that takes no prompts",
            "name a model that was trained with prompts");
      }
      return base.with(prompts);
    }
    UNetConfig shape = ModelShape.unet(config.model(), training, available);
    return new ModelFolder(
        UNet.random(shape, device, rng.fork("weights")),
        ModelShape.scheduler(config.schedule()),
        available.identity(),
        prompts);
  }

  private void train(Trained trained, Denoiser average, PretrainingResults results) {
    DenoisingBatches batches =
        new DenoisingBatches(
            DenoisingBatches.Samples.of(training, model, device),
            encoder,
            config.batchSize(),
            config.promptDropout(),
            rng.fork("data"));
    Path checkpoint = run.resolve(CHECKPOINT);
    long done = 0;
    if (Files.exists(checkpoint)) {
      done = trained.state.read(checkpoint, config.steps());
    } else {
      run.requireNoLostCheckpoint(checkpoint, config.checkpointEvery(), "step");
    }
    try (Metrics metrics = run.metrics(done + 1);
        Progress progress = Progress.start("pretraining", "steps", config.steps(), done)) {
      double losses = 0;
      long first = done;
      while (done < config.steps()) {
        Step step = step(trained, batches, done++);
        losses += step.loss;
        if (done % config.logEvery() == 0) {
          double mean = losses / (done - first);
          losses = 0;
          first = done;
          metrics.log(
              done,
              Map.of(
                  "train/loss",
                  mean,
                  "train/gradient_norm",
                  step.norm,
                  "train/learning_rate",
                  step.rate));
          progress.note(String.format(Locale.ROOT, "loss %.4f", mean));
        }
        progress.advanceTo(done);
        if (config.sampleEvery() > 0 && done % config.sampleEvery() == 0) {
          metrics.image(done, "samples", results.gallery(average, done));
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

  /** A prompt that the model knows, once it was trained. */
  public String example() {
    return training.prompts().getFirst();
  }

  private record Step(double loss, double norm, double rate) {}

  private Tensor meanLoss(Denoiser denoiser, Inputs in) {
    return in.noised.perSample(denoiser, in.context).sum().mul(1.0 / config.batchSize());
  }

  /** One optimizer step, the one that follows {@code done} others. */
  private Step step(Trained trained, DenoisingBatches batches, long done) {
    double rate =
        LearningRate.cosine(config.optimizer().learningRate(), 0, config.steps())
            .warmedUp(config.warmup())
            .at(done);
    try (Scope _ = Scope.open("training step")) {
      DenoisingBatches.Batch batch = batches.at(done, loss.schedule(), device);
      DenoisingLoss.NoisedBatch q = loss.noised(batch.clean(), batch.draw());
      trained.step.begin();
      Tensor sum = trained.pass.add(new Inputs(q, batch.context())).sum();
      double norm = trained.step.update(rate);
      return new Step(sum.item(), norm, rate);
    }
  }

  @Override
  public void close() {
    model.close();
  }
}
