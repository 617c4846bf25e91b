// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.invoke.MethodHandles;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Function;
import reverie.diffusion.ChainPosition;
import reverie.diffusion.ReversePolicy;
import reverie.rl.Policy;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.graph.MicroBatched;

/**
 * The KL to the base model after an epoch's updates, at a random decision of some samples of its
 * experience; captured at its first use, so that it takes the memory of one step.
 */
final class DistanceToBase implements AutoCloseable {
  private final Policy policy;
  private final MicroBatched<Inputs, Kl> pass;

  /** Latents before steps, the numbers of their {@link ChainPosition}, contexts or null. */
  private record Inputs(Tensor before, Tensor numbers, Tensor contexts) {}

  private record Kl(Tensor values) {}

  DistanceToBase(Policy policy) {
    this.policy = policy;
    pass = new MicroBatched<>(MethodHandles.lookup(), policy.device(), in -> kl(policy, in));
  }

  private static Kl kl(Policy policy, Inputs in) {
    ReversePolicy process = policy.process();
    ChainPosition at = ChainPosition.of(in.numbers);
    Tensor now = policy.denoiser().predict(in.before, at.timesteps(), in.contexts);
    Tensor base = policy.reference().predict(in.before, at.timesteps(), in.contexts);
    return new Kl(
        process.divergence(process.step(in.before, now, at), process.step(in.before, base, at)));
  }

  /**
   * Measures it, where there is a reference and anything is decided.
   *
   * @param samples of the experience: as many as a training batch has are looked at
   * @param before latents before the steps given for samples, {@code [n, h, w, c]}
   * @param contexts of samples, or null for each
   */
  void measure(
      int samples,
      int trainingBatch,
      Rng rng,
      BiFunction<int[], int[], Tensor> before,
      Function<int[], Tensor> contexts,
      Diagnostics diagnostics) {
    int[] decisions = policy.process().decisions();
    if (policy.reference() == null || decisions.length == 0) {
      return;
    }
    int[] some = Arrays.copyOf(rng.permutation(samples), Math.min(samples, trainingBatch));
    int[] steps = new int[some.length];
    Arrays.setAll(steps, i -> decisions[rng.fork(1).below(i, decisions.length)]);
    try (Scope _ = Scope.open("divergence")) {
      Tensor x = before.apply(some, steps);
      Tensor numbers = policy.process().position(x, steps).numbers();
      diagnostics.addKl(pass.run(new Inputs(x, numbers, contexts.apply(some))).values.toDoubles());
    }
    pass.discard();
  }

  Optional<String> captureFailure() {
    return pass.captureFailure();
  }

  @Override
  public void close() {
    pass.close();
  }
}
