// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.op.Copy;

/**
 * Walks the reverse chain from x_T to x_0. All randomness of a sample comes from one {@link Rng} of
 * its own (made of the seed, the prompt's and the sample's index, see {@link #row}): x_T is its
 * fork T, the noise of the step at timestep t its fork t, of a flow's step i its fork i. So a
 * sample is the same in whatever batch, thread or process it is drawn.
 *
 * <p>Nothing is recorded for gradients. The interrupt flag of the thread is looked at before every
 * step.
 *
 * @param policy the chain
 * @param device where
 * @param progress gets after every step
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
    try (SamplingStep step = new SamplingStep(policy, device, denoiser)) {
      return rollout(step, context, rows, sampleDims);
    }
  }

  /** The same with a step that is kept from batch to batch. */
  public Trajectory rollout(SamplingStep step, Tensor context, Rng[] rows, int... sampleDims) {
    return rollout(step, context, rows, rows, sampleDims);
  }

  /**
   * The same with each x_T from other random numbers than the rest of its chain.
   *
   * @param starts whose x_T each sample gets; samples with the same one start alike
   */
  public Trajectory rollout(
      SamplingStep step, Tensor context, Rng[] rows, Rng[] starts, int... sampleDims) {
    return chain(step, context, rows, start(starts, sampleDims));
  }

  /**
   * Draws whole chains without chance.
   *
   * @param start x_T of each sample, {@code [n, …]}
   * @throws ReverieException if a step of the policy is a decision
   */
  public Trajectory from(Denoiser denoiser, Tensor context, Tensor start) {
    if (policy.decisions().length > 0) {
      throw new ReverieException(
          "sampler: expected a chain without chance, got " + policy.rule(),
          "draw it from random numbers, by rollout");
    }
    try (SamplingStep step = new SamplingStep(policy, device, denoiser)) {
      return chain(step, context, new Rng[0], start);
    }
  }

  private Trajectory chain(SamplingStep step, Tensor context, Rng[] rows, Tensor start) {
    List<Tensor> latents = new ArrayList<>();
    Tensor[] logProbs = new Tensor[policy.steps()];
    latents.add(start);
    StepHistory history = StepHistory.of(policy, start);
    for (int i = 0; i < policy.steps(); i++) {
      try (Scope scope = Scope.open("sampler step " + i)) {
        SamplingStep.Drawn drawn = draw(step, i, latents.getLast(), context, rows, history);
        latents.add(scope.keep(copy(drawn.latents())));
        logProbs[i] = drawn.logProb() == null ? null : scope.keep(copy(drawn.logProb()));
      }
      progress.stepped(i + 1, policy.steps());
    }
    return new Trajectory(policy, latents, logProbs);
  }

  /** Like {@link #rollout}, but only the finished samples {@code [n, sampleDims…]} are kept. */
  public Tensor sample(Denoiser denoiser, Tensor context, Rng[] rows, int... sampleDims) {
    try (Scope all = Scope.open("sampler");
        SamplingStep step = new SamplingStep(policy, device, denoiser)) {
      Tensor x = start(rows, sampleDims);
      StepHistory history = StepHistory.of(policy, x);
      for (int i = 0; i < policy.steps(); i++) {
        try (Scope _ = Scope.open("sampler step " + i)) {
          x.assign(draw(step, i, x, context, rows, history).latents());
        }
        progress.stepped(i + 1, policy.steps());
      }
      return all.keep(x);
    }
  }

  private SamplingStep.Drawn draw(
      SamplingStep step, int index, Tensor x, Tensor context, Rng[] rows, StepHistory history) {
    if (Thread.currentThread().isInterrupted()) {
      throw new CancellationException(
          "sampling was interrupted before step " + index + " of " + policy.steps());
    }
    int[] dims = x.shape().dims();
    Tensor noise =
        policy.isDecision(index)
            ? Rng.normalRows(device, noise(rows, index), Arrays.copyOfRange(dims, 1, dims.length))
            : null;
    StepHistory.Seen past = history == null ? null : history.seen();
    SamplingStep.Drawn drawn = step.draw(policy, index, x, noise, context, past);
    if (drawn.seen() != null) {
      history.add(index, x, drawn.seen());
    }
    return drawn;
  }

  /** Out of the memory of the step, which is used again. */
  private static Tensor copy(Tensor t) {
    return Ops.apply(new Copy(), t);
  }

  private Tensor start(Rng[] rows, int... sampleDims) {
    return Rng.normalRows(device, forks(rows, policy.schedule().steps()), sampleDims);
  }

  private Rng[] noise(Rng[] rows, int step) {
    return forks(rows, policy.noiseAddress(step));
  }

  private static Rng[] forks(Rng[] rows, int label) {
    return Arrays.stream(rows).map(row -> row.fork(label)).toArray(Rng[]::new);
  }
}
