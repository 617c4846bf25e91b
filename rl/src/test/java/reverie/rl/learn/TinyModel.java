// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import reverie.autograd.nn.Linear;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Guidance;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.Policy;
import reverie.rl.prompt.Prompt;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * A conditional denoiser of images of 2 × 3 pixels with 134 weights, for tests of everything around
 * it.
 */
final class TinyModel implements AutoCloseable {
  static final int HEIGHT = 2;
  static final int WIDTH = 3;
  private static final int PIXELS = HEIGHT * WIDTH;
  private static final int HIDDEN = 8;

  final Parameters parameters;
  final Parameters frozen;
  final Device device;
  final Denoiser denoiser;
  private final Scope scope = Scope.detached("tiny model");
  private final Tensor unconditional;

  TinyModel(Device device) {
    this.device = device;
    parameters = Parameters.random(device, Rng.of(5));
    denoiser = denoiser(parameters);
    frozen = parameters.frozenCopy();
    try (Scope _ = Scope.open("tiny model")) {
      unconditional = scope.adopt(encode(List.of(new Prompt(""))));
    }
  }

  /** Two numbers of each prompt as its one token. */
  Tensor encode(List<Prompt> prompts) {
    double[] values = new double[2 * prompts.size()];
    for (int i = 0; i < prompts.size(); i++) {
      int hash = prompts.get(i).text().hashCode();
      values[2 * i] = (hash % 7) / 7.0;
      values[2 * i + 1] = (hash % 5) / 5.0;
    }
    return device.tensor(values, prompts.size(), 1, 2);
  }

  static Denoiser denoiser(Parameters parameters) {
    Linear in = new Linear(parameters.at("in"), PIXELS + 3, HIDDEN, true);
    Linear out = new Linear(parameters.at("out"), HIDDEN, PIXELS, true);
    return (x, timesteps, context) -> {
      int n = x.dim(0);
      Tensor time = timesteps.mul(1e-3).reshape(n, 1);
      Tensor seen = Ops.concat(1, x.reshape(n, PIXELS), time, context.reshape(n, 2));
      Tensor residual = out.forward(in.forward(seen).silu());
      return residual.reshape(n, HEIGHT, WIDTH, 1).add(x.mul(0.5));
    };
  }

  Policy policy(double eta, double guidance) {
    return policy(eta, guidance, parameters, denoiser(frozen));
  }

  Policy policy(double eta, double guidance, Parameters trained, Denoiser reference) {
    ReversePolicy process = ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 5, eta);
    return new Policy(
        process,
        Prediction.EPSILON,
        new Guidance(denoiser, guidance, unconditional),
        new Guidance(reference, guidance, unconditional),
        trained,
        this::encode,
        HEIGHT,
        WIDTH,
        1);
  }

  /** Six samples drawn with the policy, so many in a row for one prompt. */
  static void withRollout(Policy policy, int groupSize, Consumer<Drawn> body) {
    List<Prompt> prompts =
        IntStream.range(0, 6).mapToObj(i -> new Prompt("prompt " + i / groupSize)).toList();
    try (Scope _ = Scope.open("test")) {
      body.accept(Drawn.of(policy, prompts, Rng.of(4), 4, TrainerTest.BRIGHTNESS));
    }
  }

  /** Changes the weights so that ratios and divergences are no longer trivial. */
  void move(double scale) {
    for (Parameter p : parameters.all()) {
      Tensor noise = Rng.of(8).fork(p.name()).normal(device, p.shape().dims());
      p.value().assign(p.value().add(noise.mul(scale)));
    }
  }

  @Override
  public void close() {
    parameters.close();
    frozen.close();
    scope.close();
  }
}
