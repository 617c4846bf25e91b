// SPDX-License-Identifier: Apache-2.0
package reverie.bench.step;

import java.lang.invoke.MethodHandles;
import reverie.autograd.nn.Parameter;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.TrainingStep;
import reverie.diffusion.ChainPosition;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.ReversePolicy;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.debug.Profile;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.graph.MicroBatched;
import reverie.unet.UNet;

/**
 * A step by this engine, as the trainers make it. The one place that knows how: whatever makes
 * steps faster is put in here.
 */
public final class OurStep implements AutoCloseable {
  private final Kind kind;
  private final Model model;
  private final Batch batch;
  private final StepSettings settings;
  private final Scope kept = Scope.detached("benchmark");
  private final Tensor context;
  private final Tensor oldLogProb;
  private final Tensor advantage;
  private final TrainingStep training;
  private final MicroBatched<Inputs, Latents> sampling;
  private final BackwardPass<Inputs, BackwardPass.Nothing> pass;

  /**
   * All that differs from step to step, as the trainers make it for each; first the images or
   * latents, then the noised images of pretraining or the positions in a chain.
   */
  private record Inputs(
      Tensor x,
      DenoisingLoss.NoisedBatch noised,
      Tensor numbers,
      Tensor context,
      Tensor noise,
      Tensor next,
      Tensor oldLogProb,
      Tensor advantage) {}

  private record Latents(Tensor next) {}

  /** A step of a model, which training steps change. */
  public OurStep(Kind kind, UNet model, Batch batch, StepSettings settings) {
    this(kind, Model.of(model), batch, settings);
  }

  /** A step of a model, which training steps change. */
  public OurStep(Kind kind, Model model, Batch batch, StepSettings settings) {
    this.kind = kind;
    this.model = model;
    this.batch = batch;
    this.settings = settings;
    Device device = model.device();
    int n = batch.images().dim(0);
    try (Scope _ = Scope.open("benchmark")) {
      context = batch.context();
      oldLogProb = kept.adopt(device.tensor(batch.oldLogProb(), n));
      advantage = kept.adopt(device.tensor(batch.advantage(), n));
    }
    if (kind.trains()) {
      training =
          new TrainingStep(
              model.trained(), new TrainingStep.Settings(settings.adamW(), settings.clipNorm(), 0));
      pass =
          BackwardPass.of(
              MethodHandles.lookup(), device, training.gradients(), in -> losses(in).sum().div(n));
      sampling = null;
    } else {
      training = null;
      pass = null;
      sampling =
          kind == Kind.DECODING
              ? null
              : new MicroBatched<>(
                  MethodHandles.lookup(),
                  device,
                  in -> new Latents(batch.policy().sample(look(in), in.noise)));
    }
  }

  /** Makes one step; training moves the parameters. */
  public void run() {
    try (Scope _ = Scope.open("step")) {
      make();
    }
  }

  /**
   * Makes one step and gives the loss, or of a sampling step the next latents, or the decoded
   * images, in the open scope.
   */
  public Tensor make() {
    if (kind == Kind.DECODING) {
      return model.autoencoder().decodeEach(batch.images());
    }
    if (!kind.trains()) {
      return sampling.run(inputs()).next;
    }
    training.begin();
    Tensor loss = pass.add(inputs()).sum();
    training.move(settings.learningRate());
    return loss;
  }

  /**
   * Makes one step's worth of micro-batches, of which the first must have been made, one after
   * another and adds to the profile where their time goes.
   */
  public void profile(Profile profile) {
    CapturedGraph part = captured();
    for (int i = 0; i < microBatches(); i++) {
      part.run(profile);
    }
    if (kind.trains()) {
      training.captured().orElseThrow().run(profile);
    }
  }

  /** A micro-batch of the step as it was captured when it was first run. */
  public CapturedGraph captured() {
    return (kind.trains() ? pass.captured() : sampling.captured())
        .orElseThrow(
            () -> new ReverieException("bench: the step was not captured", "please report this"));
  }

  /** Into how many micro-batches the batch is divided. */
  public int microBatches() {
    return model.device().backend().microBatches(batch.steps().length);
  }

  /** Makes one step operation by operation. */
  public void runEagerly() {
    Interpreter.with(
        new Profile(Interpreter.current()),
        () -> {
          run();
          return null;
        });
  }

  private Inputs inputs() {
    Tensor x = batch.images();
    if (kind == Kind.PRETRAINING) {
      DenoisingLoss.NoiseDraw draw = new DenoisingLoss.NoiseDraw(batch.timesteps(), batch.noise());
      return new Inputs(x, batch.loss().noised(x, draw), null, context, null, null, null, null);
    }
    Tensor numbers = batch.policy().position(x, batch.steps()).numbers();
    return kind == Kind.SAMPLING
        ? new Inputs(x, null, numbers, context, batch.noise(), null, null, null)
        : new Inputs(x, null, numbers, context, null, batch.next(), oldLogProb, advantage);
  }

  private Tensor losses(Inputs in) {
    return kind == Kind.PRETRAINING
        ? in.noised.perSample(model.unet()::forward, in.context)
        : ddpoLosses(in);
  }

  /** The optimizer's first moment of a parameter. */
  public Tensor firstMoment(Parameter parameter) {
    return training.state().tensors().get("first_moment." + parameter.name());
  }

  private ReversePolicy.Step look(Inputs in) {
    ChainPosition at = ChainPosition.of(in.numbers);
    Tensor output = batch.guidance(model.unet()).predict(in.x, at.timesteps(), in.context);
    return batch.policy().step(in.x, output, at);
  }

  private Tensor ddpoLosses(Inputs in) {
    Tensor logProb = batch.policy().logProb(in.next, look(in));
    DdpoImportanceSampled objective =
        new DdpoImportanceSampled(settings.clipRange(), settings.advantageLimit());
    return objective.loss(logProb, in.oldLogProb, in.advantage);
  }

  /** Frees everything but the model and the batch. */
  @Override
  public void close() {
    if (sampling != null) {
      sampling.close();
    }
    if (training != null) {
      pass.close();
      training.close();
    }
    kept.close();
  }
}
