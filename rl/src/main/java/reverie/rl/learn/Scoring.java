// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.invoke.MethodHandles;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import reverie.diffusion.ChainPosition;
import reverie.diffusion.Denoiser;
import reverie.rl.Policy;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.graph.MicroBatched;

/**
 * Log-probabilities of a rollout's decisions under a model, without gradients; captured at its
 * first use. It takes as much memory as one step, however long the chains.
 */
final class Scoring implements AutoCloseable {
  private final Policy policy;
  private final int batchSize;
  private final MicroBatched<Inputs, LogProb> pass;

  /** Latents around steps, the numbers of their {@link ChainPosition}, contexts or null. */
  private record Inputs(Tensor before, Tensor after, Tensor numbers, Tensor contexts) {}

  private record LogProb(Tensor values) {}

  Scoring(Policy policy, Denoiser denoiser, int batchSize) {
    this.policy = policy;
    this.batchSize = batchSize;
    pass =
        new MicroBatched<>(
            MethodHandles.lookup(),
            policy.device(),
            in -> {
              ChainPosition at = ChainPosition.of(in.numbers);
              Tensor output = denoiser.predict(in.before, at.timesteps(), in.contexts);
              return new LogProb(
                  policy.process().logProb(in.after, policy.process().step(in.before, output, at)));
            });
  }

  /** One row per sample given, one column per decision of the chain. */
  double[][] of(Rollout rollout, int... samples) {
    int[] decisions = Samples.decided(rollout.logProbs());
    double[][] columns = new double[decisions.length][];
    for (int t = 0; t < decisions.length; t++) {
      int step = decisions[t];
      DoubleStream.Builder column = DoubleStream.builder();
      for (int[] batch : Learner.batches(samples, batchSize)) {
        Learner.checkInterrupted();
        Arrays.stream(values(rollout, batch, step)).forEach(column::add);
      }
      columns[t] = column.build().toArray();
    }
    return IntStream.range(0, samples.length)
        .mapToObj(i -> Arrays.stream(columns).mapToDouble(column -> column[i]).toArray())
        .toArray(double[][]::new);
  }

  private double[] values(Rollout rollout, int[] batch, int step) {
    int[] steps = new int[batch.length];
    Arrays.fill(steps, step);
    try (Scope _ = Scope.open("scoring")) {
      Tensor before = rollout.before(batch, steps);
      Inputs inputs =
          new Inputs(
              before,
              rollout.after(batch, steps),
              policy.process().position(before, steps).numbers(),
              rollout.contexts(batch));
      return pass.run(inputs).values.toDoubles();
    }
  }

  Optional<String> captureFailure() {
    return pass.captureFailure();
  }

  /** Gives the memory of a large step back until the next one. */
  void discard() {
    pass.discard();
  }

  @Override
  public void close() {
    pass.close();
  }
}
