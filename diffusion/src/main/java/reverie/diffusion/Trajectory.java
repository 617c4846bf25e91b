// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.List;
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
}
