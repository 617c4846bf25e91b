// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Walks the reverse chain from x_T to x_0. All randomness of a sample comes from one {@link Rng} of
 * its own (made of the seed, the prompt's and the sample's index, see {@link #row}): x_T is its
 * fork T, the noise of the step at timestep t its fork t. So a sample is the same in whatever
 * batch, thread or process it is drawn.
 *
 * <p>Nothing is recorded for gradients. The interrupt flag of the thread is looked at before every
 * step.
 *
 * @param policy the chain
 * @param device where
 * @param progress is told after every step
 */
public record Sampler(ReversePolicy policy, Device device, Progress progress) {
  /** Is told how far a chain is; may throw to end it. */
  @FunctionalInterface
  public interface Progress {
    /** Nobody listens. */
    Progress NONE = (_, _) -> {};

    /** After {@code done} of {@code steps} steps. */
    void stepped(int done, int steps);
  }

  /** A sampler without an audience. */
  public Sampler(ReversePolicy policy, Device device) {
    this(policy, device, Progress.NONE);
  }

  /** The random numbers of one sample. */
  public static Rng row(long seed, long prompt, long sample) {
    return Rng.of(seed).fork(prompt, sample);
  }

  /**
   * Draws whole chains and keeps them. The tensors of the result belong to the scope of the caller.
   *
   * @param denoiser the model, guidance included
   * @param context {@code [n, tokens, dim]} or null
   * @param rows the random numbers of each sample
   * @param sampleDims the shape of one sample, {@code h, w, c} for images
   * @throws CancellationException if the thread is interrupted
   */
  public Trajectory rollout(Denoiser denoiser, Tensor context, Rng[] rows, int... sampleDims) {
    List<Tensor> latents = new ArrayList<>();
    Tensor[] logProbs = new Tensor[policy.steps()];
    Tensor x = start(rows, sampleDims);
    latents.add(x);
    for (int i = 0; i < policy.steps(); i++) {
      try (Scope scope = Scope.open("sampler step " + i)) {
        ReversePolicy.Step step = look(denoiser, x, context, i);
        x = scope.keep(policy.sample(step, noise(rows, i)));
        latents.add(x);
        if (policy.isDecision(i)) {
          logProbs[i] = scope.keep(policy.logProb(x, step));
        }
      }
      progress.stepped(i + 1, policy.steps());
    }
    return new Trajectory(policy, latents, logProbs);
  }

  /** Like {@link #rollout}, but only the finished samples {@code [n, sampleDims…]} are kept. */
  public Tensor sample(Denoiser denoiser, Tensor context, Rng[] rows, int... sampleDims) {
    try (Scope all = Scope.open("sampler")) {
      Tensor x = start(rows, sampleDims);
      for (int i = 0; i < policy.steps(); i++) {
        Tensor next;
        try (Scope scope = Scope.open("sampler step " + i)) {
          next = scope.keep(policy.sample(look(denoiser, x, context, i), noise(rows, i)));
        }
        x = next;
        progress.stepped(i + 1, policy.steps());
      }
      return all.keep(x);
    }
  }

  private ReversePolicy.Step look(Denoiser denoiser, Tensor x, Tensor context, int step) {
    if (Thread.currentThread().isInterrupted()) {
      throw new CancellationException(
          "sampling was interrupted before step " + step + " of " + policy.steps());
    }
    return policy.step(x, denoiser.predict(x, policy.timesteps(x, step), context), step);
  }

  private Tensor start(Rng[] rows, int... sampleDims) {
    return policy.stored(
        Rng.normalRows(device, forks(rows, policy.schedule().steps()), sampleDims));
  }

  private Rng[] noise(Rng[] rows, int step) {
    return forks(rows, policy.grid().timestep(step));
  }

  private static Rng[] forks(Rng[] rows, int label) {
    return Arrays.stream(rows).map(row -> row.fork(label)).toArray(Rng[]::new);
  }
}
