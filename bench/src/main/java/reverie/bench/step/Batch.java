// SPDX-License-Identifier: Apache-2.0
package reverie.bench.step;

import java.util.Arrays;
import java.util.stream.IntStream;
import reverie.diffusion.Denoiser;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.Guidance;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.TimestepGrid;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.unet.UNet;

/** What a step is computed from, the same for every library. */
public final class Batch implements AutoCloseable {
  private static final int CHAIN = 50;

  private final Scope scope = Scope.detached("batch");
  private final SchedulerConfig scheduler =
      SchedulerConfig.defaults()
          .withSpacing(TimestepGrid.Spacing.TRAILING, 0)
          .withEndsClean(true)
          .withoutClipping();
  private final ReversePolicy policy = ReversePolicy.ddim(scheduler, CHAIN, 1);
  private final DenoisingLoss loss = DenoisingLoss.of(scheduler);
  private final StepSettings settings;
  private final int[] steps;
  private final double[] timesteps;
  private final Tensor images;
  private final Tensor noise;
  private final Tensor context;
  private final Tensor unconditional;
  private final Tensor next;
  private final double[] oldLogProb;
  private final double[] advantage;

  /**
   * Draws everything for n samples; latents after the step are any, with any probability.
   *
   * @param subject the model
   * @param n number of samples
   */
  public Batch(Subject subject, int n, Device device, StepSettings settings, Rng rng) {
    this(subject, subject.side(), n, device, settings, rng);
  }

  /**
   * The same for images of another size.
   *
   * @param side height and width
   */
  public Batch(Subject subject, int side, int n, Device device, StepSettings settings, Rng rng) {
    this.settings = settings;
    int[] dims = {n, side, side, subject.channels()};
    // The last step of the chain has no noise and is no decision.
    steps = IntStream.range(0, n).map(i -> i * (CHAIN - 1) / n).toArray();
    timesteps = IntStream.range(0, n).mapToDouble(i -> i * scheduler.trainSteps() / n).toArray();
    try (Scope _ = Scope.open("batch")) {
      images = scope.adopt(rng.fork("images").normal(device, dims));
      noise = scope.adopt(rng.fork("noise").normal(device, dims));
      next = scope.adopt(rng.fork("next").normal(device, dims));
      context =
          scope.adopt(
              rng.fork("context").normal(device, n, subject.tokens(), subject.contextWidth()));
      unconditional =
          scope.adopt(
              rng.fork("empty").normal(device, 1, subject.tokens(), subject.contextWidth()));
    }
    oldLogProb = new double[n];
    Rng advantages = rng.fork("advantages");
    advantage = IntStream.range(0, n).mapToDouble(i -> 2 * advantages.uniform(i) - 1).toArray();
  }

  /** Draws the latents after the step by this model, as a rollout does. */
  public void draw(UNet model) {
    try (Scope _ = Scope.open("draw")) {
      Tensor output = guidance(model).predict(images, policy.timesteps(images, steps), context);
      ReversePolicy.Step step = policy.step(images, output, steps);
      next.assign(step.mean().add(noise.mul(step.sigma().reshape(steps.length, 1, 1, 1))));
      double[] logProb = policy.logProb(next, step).toDoubles();
      for (int i = 0; i < logProb.length; i++) {
        // Away from the kinks of the clipped loss, at which libraries may differ by rounding.
        oldLogProb[i] = logProb[i] + settings.clipRange() * (i % 2 == 0 ? 0.3 : -0.3);
      }
    }
  }

  /** The model with guidance, as it samples and is trained. */
  public Guidance guidance(UNet model) {
    return new Guidance(Denoiser.branching(model::forward), settings.guidance(), unconditional);
  }

  /** The reverse process. */
  public ReversePolicy policy() {
    return policy;
  }

  /** The reverse process in this many steps. */
  public ReversePolicy policy(int chain) {
    return ReversePolicy.ddim(scheduler, chain, 1);
  }

  /** The loss of pretraining. */
  public DenoisingLoss loss() {
    return loss;
  }

  /** The step of the chain at which each sample is. */
  public int[] steps() {
    return steps.clone();
  }

  /** The timesteps of pretraining. */
  public double[] timesteps() {
    return timesteps.clone();
  }

  /** Latents before the step, or clean images: {@code [n, h, w, c]}. */
  public Tensor images() {
    return images;
  }

  /** Like the images. */
  public Tensor noise() {
    return noise;
  }

  /** {@code [n, tokens, dim]}. */
  public Tensor context() {
    return context;
  }

  /** {@code [1, tokens, dim]}. */
  public Tensor unconditional() {
    return unconditional;
  }

  /** Latents that the policy drew. */
  public Tensor next() {
    return next;
  }

  /** Their log-probability when they were drawn. */
  public double[] oldLogProb() {
    return oldLogProb.clone();
  }

  /** How good they turned out to be. */
  public double[] advantage() {
    return advantage.clone();
  }

  /** The timesteps of the steps of the chain. */
  public double[] chainTimesteps() {
    return Arrays.stream(steps).mapToDouble(policy.grid()::timestep).toArray();
  }

  /** Frees the tensors. */
  @Override
  public void close() {
    scope.close();
  }
}
