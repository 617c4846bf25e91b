// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import reverie.tensor.Tensor;

/** The denoising loss of the finished samples, weighted by what their rewards are worth. */
interface WeightedRegression extends DenoisingObjective {
  /** Whether rewards compete with those of the same prompt only, or with the whole epoch's. */
  boolean perPrompt();

  /** The weights of samples that compete. */
  double[] weights(double... rewards);

  @Override
  default double[] weights(List<String> prompts, double[] rewards, double[] advantages) {
    Map<String, List<Integer>> contexts = new HashMap<>();
    for (int i = 0; i < rewards.length; i++) {
      contexts.computeIfAbsent(perPrompt() ? prompts.get(i) : "", _ -> new ArrayList<>()).add(i);
    }
    double[] weights = new double[rewards.length];
    for (List<Integer> context : contexts.values()) {
      double[] own = weights(context.stream().mapToDouble(i -> rewards[i]).toArray());
      for (int i = 0; i < own.length; i++) {
        weights[context.get(i)] = own[i];
      }
    }
    return weights;
  }

  @Override
  default Tensor loss(Denoised denoised) {
    return denoised.error(denoised.output()).mul(denoised.weight());
  }

  @Override
  default boolean usesSamplerSteps() {
    return false;
  }

  @Override
  default boolean skipsWeightZero() {
    return true;
  }
}
