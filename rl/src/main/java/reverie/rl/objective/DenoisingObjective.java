// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.List;
import java.util.Set;
import reverie.tensor.Tensor;

/**
 * An objective of the forward process: the finished samples are noised again, as in pretraining,
 * and what the model says of them is pushed towards or away from what was done to them by what each
 * sample earned. It looks at no step of the chain and no likelihood, so that any sampler may have
 * drawn the samples, a deterministic one too.
 */
public non-sealed interface DenoisingObjective extends RolloutObjective {
  /** Models whose answers a loss may compare with. */
  enum Model {
    /** The one that drew the samples; see {@link #old}. */
    OLD,
    /** The base model. */
    BASE,
    /** A slow average of the weights; see {@link #anchor}. */
    ANCHOR
  }

  /**
   * What each sample counts, {@link Denoised#weight} of the loss; its advantage unless this is
   * overridden.
   *
   * @param prompts the prompt of each sample of the epoch
   * @param rewards its reward
   * @param advantages what the run's advantages made of it
   */
  default double[] weights(List<String> prompts, double[] rewards, double[] advantages) {
    return advantages;
  }

  /** How many (timestep, noise) pairs each sample is trained with per update. */
  int draws();

  /** The loss of each sample at one timestep and noise: {@code [n]}. */
  Tensor loss(Denoised denoised);

  /** The models that the loss compares with. */
  default Set<Model> compared() {
    return Set.of();
  }

  /**
   * Whether timesteps are the sampler's, without the cleanest, each sample's in an order of its
   * own; else they are drawn as in pretraining.
   */
  default boolean usesSamplerSteps() {
    return true;
  }

  /** Whether a sample of weight 0 has no loss, and costs nothing. */
  default boolean skipsWeightZero() {
    return false;
  }

  /** How the model that draws the samples follows the one that is trained. */
  default Lag old() {
    return Lag.NONE;
  }

  /** How {@link Model#ANCHOR} follows the model that is trained. */
  default Lag anchor() {
    return Lag.NONE;
  }

  /** Whether the losses of a prompt's samples hang together by {@link #coupling}. */
  default boolean couples() {
    return false;
  }

  /**
   * A number of each sample, {@code [n]}, whose mean over the samples of its prompt is {@link
   * Denoised#group}; no gradient flows through it. They share timestep and noise.
   */
  default Tensor coupling(Denoised denoised) {
    throw new UnsupportedOperationException(name() + " couples no samples");
  }

  /**
   * Weights that follow others: after every epoch {@code old ← d·old + (1−d)·new} with {@code d =
   * min(rise·updates, limit)}.
   *
   * @param rise of d with every update made so far
   * @param limit of d, below 1
   */
  record Lag(double rise, double limit) {
    /** Always the weights at the beginning of the epoch. */
    public static final Lag NONE = new Lag(0, 0);

    /** Checks the ranges. */
    public Lag {
      Checks.require("lag", "rise", rise, rise >= 0 && Double.isFinite(rise), "of 0 or more");
      Checks.require("lag", "limit", limit, limit >= 0 && limit < 1, "from 0 to below 1");
    }

    /** d after so many updates. */
    public double decay(long updates) {
      return Math.min(rise * updates, limit);
    }
  }
}
