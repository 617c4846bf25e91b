// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import reverie.diffusion.ChainPosition;
import reverie.diffusion.Denoiser;
import reverie.tensor.MicroBatched;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Log-probabilities of a rollout's decisions under a model, without gradients; captured at its
 * first use. As much memory as one step takes, however long the chains.
 */
final class Scoring implements AutoCloseable {
  private final Policy policy;
  private final int batchSize;
  private final int[] decisions;
  private final MicroBatched pass;

  /** Decisions scored at once: {@code batchSize}. */
  Scoring(Policy policy, Denoiser denoiser, int batchSize) {
    this.policy = policy;
    this.batchSize = batchSize;
    decisions = policy.process().decisions();
    pass =
        new MicroBatched(
            policy.device(),
            List.of(),
            in -> {
              ChainPosition at = ChainPosition.of(in[2]);
              Tensor output = denoiser.predict(in[0], at.timesteps(), in[3]);
              return new Tensor[] {
                policy.process().logProb(in[1], policy.process().step(in[0], output, at))
              };
            });
  }

  /** One row per sample given, one column per decision of the chain. */
  double[][] of(Rollout rollout, int... samples) {
    double[][] logProbs = new double[samples.length][decisions.length];
    for (int t = 0; t < decisions.length; t++) {
      for (int from = 0; from < samples.length; from += batchSize) {
        Driver.checkInterrupted();
        int[] batch = Arrays.copyOfRange(samples, from, Math.min(from + batchSize, samples.length));
        double[] values = values(rollout, batch, decisions[t]);
        for (int i = 0; i < values.length; i++) {
          logProbs[from + i][t] = values[i];
        }
      }
    }
    return logProbs;
  }

  private double[] values(Rollout rollout, int[] batch, int step) {
    int[] steps = new int[batch.length];
    Arrays.fill(steps, step);
    try (Scope _ = Scope.open("scoring")) {
      Tensor before = rollout.before(batch, steps);
      return pass.run(
              before,
              rollout.after(batch, steps),
              policy.process().position(before, steps).numbers(),
              rollout.contexts(batch))
          .getFirst()
          .toDoubles();
    }
  }

  /** Why the pass cannot be captured; empty if it can, or was not made yet. */
  Optional<String> captureFailure() {
    return pass.captureFailure();
  }

  @Override
  public void close() {
    pass.close();
  }
}
