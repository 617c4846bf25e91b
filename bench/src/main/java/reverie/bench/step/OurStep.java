// SPDX-License-Identifier: Apache-2.0
package reverie.bench.step;

import java.util.List;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.autograd.optim.AdamW;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.ChainPosition;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.ReversePolicy;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.tensor.Captured;
import reverie.tensor.Device;
import reverie.tensor.Profile;
import reverie.tensor.Repeated;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
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
  private final List<Tensor> roots;
  private final Scope kept = Scope.detached("benchmark");
  private final Tensor context;
  private final Tensor oldLogProb;
  private final Tensor advantage;
  private final AdamW optimizer;
  private final GradientAccumulator gradients;
  private final Repeated step;

  /** A step of a model, which training steps change. */
  public OurStep(Kind kind, UNet model, Batch batch, StepSettings settings) {
    this.kind = kind;
    this.model = model;
    this.batch = batch;
    this.settings = settings;
    roots = model.parameters().trainable().stream().map(Parameter::value).toList();
    Device device = model.parameters().device();
    int n = batch.images().dim(0);
    try (Scope _ = Scope.open("benchmark")) {
      context = batch.context();
      oldLogProb = kept.adopt(device.tensor(batch.oldLogProb(), n));
      advantage = kept.adopt(device.tensor(batch.advantage(), n));
    }
    optimizer = kind.trains() ? new AdamW(model.parameters().trainable(), settings.adamW()) : null;
    gradients = kind.trains() ? new GradientAccumulator(model.parameters().trainable()) : null;
    step = new Repeated(device, this::record);
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
    if (kind.trains()) {
      optimizer.advance(settings.learningRate());
    }
    return step.run(inputs()).getFirst();
  }

  /** Makes one step, which must not be the first, and adds to the profile where its time goes. */
  public void profile(Profile profile) {
    captured().run(profile);
  }

  /** The step as it was captured when it was first run. */
  public Captured captured() {
    return step.captured()
        .orElseThrow(() ->
            new ReverieException(
                "bench: the step cannot be captured: " + step.obstacle().orElse("it was not run"),
                "please report this"));
  }

  /** Makes one step operation by operation. */
  public void runEagerly() {
    try (Scope _ = Scope.open("step")) {
      if (kind.trains()) {
        optimizer.advance(settings.learningRate());
      }
      record(inputs());
    }
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

  private Tensor[] record(Tensor... in) {
    if (!kind.trains()) {
      return new Tensor[] {sample(in)};
    }
    Tape.Result result = differentiate(in);
    gradients.clear();
    gradients.add(result);
    Tensor norm = gradients.norm();
    optimizer.apply(gradients::gradient, GradientAccumulator.clipFactor(norm, settings.clipNorm()));
    return new Tensor[] {result.loss(), norm};
  }

  private Tensor sample(Tensor... in) {
    return batch.policy().sample(look(in), in[3]);
  }

  private Tape.Result differentiate(Tensor... in) {
    return switch (kind) {
      case DDPO -> Tape.run(roots, () -> ddpoLoss(in));
      case PRETRAINING -> Tape.run(roots, () -> pretrainingLoss(in));
      case SAMPLING -> throw new IllegalStateException("a sampling step has no gradients");
    };
  }

  /** The optimiser's first moment of a parameter. */
  public Tensor firstMoment(Parameter parameter) {
    return optimizer.state().get("first_moment." + parameter.name());
  }

  private ReversePolicy.Step look(Tensor... in) {
    ChainPosition at = ChainPosition.of(in[1]);
    Tensor output = batch.guidance(model).predict(in[0], at.timesteps(), in[2]);
    return batch.policy().step(in[0], output, at);
  }

  private Tensor ddpoLoss(Tensor... in) {
    Tensor logProb = batch.policy().logProb(in[3], look(in));
    DdpoImportanceSampled objective =
        new DdpoImportanceSampled(settings.clipRange(), settings.advantageLimit());
    return objective.loss(logProb, in[4], in[5]).mean();
  }

  private Tensor pretrainingLoss(Tensor... in) {
    return new DenoisingLoss.Question(in[0], in[1], in[2], null)
        .perSample(model::forward, in[3])
        .mean();
  }

  /** Frees everything but the model and the batch. */
  @Override
  public void close() {
    step.close();
    if (kind.trains()) {
      optimizer.close();
      gradients.close();
    }
    kept.close();
  }
}
