// SPDX-License-Identifier: Apache-2.0
package reverie.bench.step;

import java.util.List;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.autograd.optim.AdamW;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.ReversePolicy;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.tensor.Device;
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
  }

  /** Makes one step; training moves the parameters. */
  public void run() {
    try (Scope _ = Scope.open("step")) {
      if (kind.trains()) {
        train(differentiate());
      } else {
        sample();
      }
    }
  }

  /** The next latents of a sampling step, in the open scope. */
  public Tensor sample() {
    ReversePolicy.Step step = look();
    Tensor sigma = step.sigma().reshape(step.sigma().dim(0), 1, 1, 1);
    return step.mean().add(batch.noise().mul(sigma));
  }

  /** The loss and its gradients, in the open scope. */
  public Tape.Result differentiate() {
    return switch (kind) {
      case DDPO -> Tape.run(roots, this::ddpoLoss);
      case PRETRAINING -> Tape.run(roots, this::pretrainingLoss);
      case SAMPLING -> throw new IllegalStateException("a sampling step has no gradients");
    };
  }

  /** The optimiser's first moment of a parameter. */
  public Tensor firstMoment(Parameter parameter) {
    return optimizer.state().get("first_moment." + parameter.name());
  }

  private void train(Tape.Result result) {
    gradients.clear();
    gradients.add(result);
    double factor = GradientAccumulator.clipFactor(gradients.norm(), settings.clipNorm());
    optimizer.step(gradients::gradient, settings.learningRate(), factor);
  }

  private ReversePolicy.Step look() {
    ReversePolicy policy = batch.policy();
    Tensor x = batch.images();
    int[] steps = batch.steps();
    Tensor output = batch.guidance(model).predict(x, policy.timesteps(x, steps), context);
    return policy.step(x, output, steps);
  }

  private Tensor ddpoLoss() {
    Tensor logProb = batch.policy().logProb(batch.next(), look());
    DdpoImportanceSampled objective =
        new DdpoImportanceSampled(settings.clipRange(), settings.advantageLimit());
    return objective.loss(logProb, oldLogProb, advantage).mean();
  }

  private Tensor pretrainingLoss() {
    DenoisingLoss.Draw draw = new DenoisingLoss.Draw(batch.timesteps(), batch.noise());
    return batch.loss().mean(model::forward, batch.images(), context, draw);
  }

  /** Frees everything but the model and the batch. */
  @Override
  public void close() {
    if (kind.trains()) {
      optimizer.close();
      gradients.close();
    }
    kept.close();
  }
}
