// SPDX-License-Identifier: Apache-2.0
package reverie.bench.step;

import java.util.List;
import reverie.autograd.nn.Parameter;
import reverie.autograd.optim.AdamW;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.GradientAccumulator;
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
import reverie.tensor.graph.CapturedFunction;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.graph.MicroBatched;
import reverie.unet.UNet;

/**
 * A step by this engine, as the trainers make it. The one place that knows how: whatever makes
 * steps faster is put in here.
 */
public final class OurStep implements AutoCloseable {
  private final Kind kind;
  private final UNet model;
  private final Batch batch;
  private final StepSettings settings;
  private final Scope kept = Scope.detached("benchmark");
  private final Tensor context;
  private final Tensor oldLogProb;
  private final Tensor advantage;
  private final AdamW optimizer;
  private final GradientAccumulator gradients;
  private final MicroBatched sampling;
  private final BackwardPass pass;
  private final CapturedFunction optimisation;

  /** A step of a model, which training steps change. */
  public OurStep(Kind kind, UNet model, Batch batch, StepSettings settings) {
    this.kind = kind;
    this.model = model;
    this.batch = batch;
    this.settings = settings;
    Device device = model.parameters().device();
    int n = batch.images().dim(0);
    try (Scope _ = Scope.open("benchmark")) {
      context = batch.context();
      oldLogProb = kept.adopt(device.tensor(batch.oldLogProb(), n));
      advantage = kept.adopt(device.tensor(batch.advantage(), n));
    }
    optimizer = kind.trains() ? new AdamW(model.parameters().trainable(), settings.adamW()) : null;
    gradients = kind.trains() ? new GradientAccumulator(model.parameters().trainable()) : null;
    sampling =
        kind.trains() ? null : new MicroBatched(device, List.of(), in -> new Tensor[] {sample(in)});
    pass =
        kind.trains()
            ? new BackwardPass(device, gradients, in -> new Tensor[] {loss(in).sum().div(n)})
            : null;
    optimisation = kind.trains() ? new CapturedFunction(device, _ -> optimise()) : null;
  }

  /** Makes one step; training moves the parameters. */
  public void run() {
    try (Scope _ = Scope.open("step")) {
      make();
    }
  }

  /**
   * Makes one step and gives the loss, or of a sampling step the next latents, in the open scope.
   */
  public Tensor make() {
    if (!kind.trains()) {
      return sampling.run(inputs()).getFirst();
    }
    optimizer.advance(settings.learningRate());
    gradients.clear();
    Tensor loss = pass.add(inputs()).getFirst();
    optimisation.run();
    return loss;
  }

  private Tensor[] optimise() {
    Tensor norm = gradients.norm();
    optimizer.apply(gradients::gradient, GradientAccumulator.clipFactor(norm, settings.clipNorm()));
    return new Tensor[] {norm};
  }

  /**
   * Makes one step's worth of slices, of which the first must have been made, one after another and
   * adds to the profile where their time goes.
   */
  public void profile(Profile profile) {
    CapturedGraph slice = captured();
    for (int i = 0; i < microBatches(); i++) {
      slice.run(profile);
    }
    if (kind.trains()) {
      optimisation.captured().orElseThrow().run(profile);
    }
  }

  /** A slice of the step as it was captured when it was first run. */
  public CapturedGraph captured() {
    return (kind.trains() ? pass.captured() : sampling.captured())
        .orElseThrow(
            () -> new ReverieException("bench: the step was not captured", "please report this"));
  }

  /** Into how many slices the batch is cut. */
  public int microBatches() {
    return model.parameters().device().backend().microBatches(batch.steps().length);
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

  /** All that differs from step to step, as the trainers make it for each. */
  private Tensor[] inputs() {
    Tensor x = batch.images();
    if (kind == Kind.PRETRAINING) {
      DenoisingLoss.Question question =
          batch.loss().question(x, new DenoisingLoss.Draw(batch.timesteps(), batch.noise()));
      return new Tensor[] {question.x(), question.timesteps(), question.target(), context};
    }
    Tensor numbers = batch.policy().position(x, batch.steps()).numbers();
    return kind == Kind.SAMPLING
        ? new Tensor[] {x, numbers, context, batch.noise()}
        : new Tensor[] {x, numbers, context, batch.next(), oldLogProb, advantage};
  }

  private Tensor sample(Tensor... in) {
    return batch.policy().sample(look(in), in[3]);
  }

  private Tensor loss(Tensor... in) {
    return kind == Kind.DDPO ? ddpoLosses(in) : pretrainingLosses(in);
  }

  /** The optimizer's first moment of a parameter. */
  public Tensor firstMoment(Parameter parameter) {
    return optimizer.state().get("first_moment." + parameter.name());
  }

  private ReversePolicy.Step look(Tensor... in) {
    ChainPosition at = ChainPosition.of(in[1]);
    Tensor output = batch.guidance(model).predict(in[0], at.timesteps(), in[2]);
    return batch.policy().step(in[0], output, at);
  }

  private Tensor ddpoLosses(Tensor... in) {
    Tensor logProb = batch.policy().logProb(in[3], look(in));
    DdpoImportanceSampled objective =
        new DdpoImportanceSampled(settings.clipRange(), settings.advantageLimit());
    return objective.loss(logProb, in[4], in[5]);
  }

  private Tensor pretrainingLosses(Tensor... in) {
    return new DenoisingLoss.Question(in[0], in[1], in[2], null).perSample(model::forward, in[3]);
  }

  /** Frees everything but the model and the batch. */
  @Override
  public void close() {
    if (sampling != null) {
      sampling.close();
    } else {
      pass.close();
      optimisation.close();
      optimizer.close();
      gradients.close();
    }
    kept.close();
  }
}
