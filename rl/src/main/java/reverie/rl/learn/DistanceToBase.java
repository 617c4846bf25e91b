// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.Arrays;
import java.util.function.BiFunction;
import java.util.function.Function;
import reverie.diffusion.ReversePolicy;
import reverie.rl.Policy;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * The KL to the base model after an epoch's updates, at a random decision of some samples of its
 * experience.
 *
 * @param before latents before the steps given for samples, {@code [n, h, w, c]}
 * @param contexts of samples, or null for each
 */
record DistanceToBase(BiFunction<int[], int[], Tensor> before, Function<int[], Tensor> contexts) {

  /**
   * Measures it, where there is a reference and anything is decided.
   *
   * @param size samples of the experience
   * @param count how many to look at
   */
  void measure(Policy policy, int size, int count, Rng rng, Diagnostics diagnostics) {
    ReversePolicy process = policy.process();
    int[] decisions = process.decisions();
    if (policy.reference() == null || decisions.length == 0) {
      return;
    }
    int[] samples = Arrays.copyOf(rng.permutation(size), Math.min(size, count));
    int[] steps = new int[samples.length];
    Arrays.setAll(steps, i -> decisions[rng.fork(1).below(i, decisions.length)]);
    try (Scope _ = Scope.open("divergence")) {
      Tensor x = before.apply(samples, steps);
      Tensor timesteps = process.timesteps(x, steps);
      Tensor context = contexts.apply(samples);
      Tensor now = policy.denoiser().predict(x, timesteps, context);
      Tensor base = policy.reference().predict(x, timesteps, context);
      diagnostics.addKl(
          process
              .divergence(process.step(x, now, steps), process.step(x, base, steps))
              .toDoubles());
    }
  }
}
