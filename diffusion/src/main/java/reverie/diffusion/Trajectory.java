// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.Arrays;
import java.util.List;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * A batch of reverse chains as they were drawn: every latent from x_T to x_0 and the
 * log-probability of every decision under the policy that drew them. Each latent is held once; its
 * tensors belong to the scope in which the sampler was called.
 *
 * @param policy that drew it
 * @param latents {@code steps + 1} tensors {@code [n, …]}, x_T first
 * @param logProbs {@code [n]} for each step; null where the step is no decision
 */
public record Trajectory(ReversePolicy policy, List<Tensor> latents, Tensor[] logProbs) {
  /** Checks that every step is there. */
  public Trajectory {
    if (latents.size() != policy.steps() + 1 || logProbs.length != policy.steps()) {
      throw new ReverieException(
          "trajectory: expected "
              + (policy.steps() + 1)
              + " latents and "
              + policy.steps()
              + " log-probabilities, got "
              + latents.size()
              + " and "
              + logProbs.length);
    }
    latents = List.copyOf(latents);
    logProbs = logProbs.clone();
  }

  /**
   * Decisions of several samples at several steps, as one batch.
   *
   * @param before {@code [m, …]} the states x_t
   * @param after the actions x_t'
   * @param logProb {@code [m]} under the policy that drew them
   * @param steps the step of each
   */
  public record Decisions(Tensor before, Tensor after, Tensor logProb, int[] steps) {}

  /** Number of chains, n. */
  public int size() {
    return latents.getFirst().dim(0);
  }

  /** The latents before a step. */
  public Tensor before(int step) {
    return latents.get(step);
  }

  /** The latents after a step. */
  public Tensor after(int step) {
    return latents.get(step + 1);
  }

  /** The finished samples x_0, as the policy left them. */
  public Tensor result() {
    return latents.getLast();
  }

  /**
   * Log-probability of a step's actions: {@code [n]}.
   *
   * @throws ReverieException if the step is no decision
   */
  public Tensor logProb(int step) {
    if (logProbs[step] == null) {
      throw new ReverieException(
          "trajectory: step " + step + " has sigma 0 and no log-probability",
          "ask for policy().decisions() only");
    }
    return logProbs[step];
  }

  /**
   * Picks decision {@code (rows[i], steps[i])} for each i.
   *
   * @throws ReverieException if a step is no decision
   */
  public Decisions decisions(int[] rows, int[] steps) {
    if (rows.length != steps.length || rows.length == 0) {
      throw new ReverieException(
          "trajectory: expected a step for each of " + rows.length + " rows, got " + steps.length);
    }
    Tensor[] before = new Tensor[rows.length];
    Tensor[] after = new Tensor[rows.length];
    Tensor[] logProb = new Tensor[rows.length];
    for (int i = 0; i < rows.length; i++) {
      before[i] = before(steps[i]).slice(0, rows[i], rows[i] + 1);
      after[i] = after(steps[i]).slice(0, rows[i], rows[i] + 1);
      logProb[i] = logProb(steps[i]).slice(0, rows[i], rows[i] + 1);
    }
    return new Decisions(
        Ops.concat(0, before),
        Ops.concat(0, after),
        Ops.concat(0, logProb),
        Arrays.copyOf(steps, steps.length));
  }
}
