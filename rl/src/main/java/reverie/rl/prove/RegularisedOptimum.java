// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import java.util.Arrays;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import reverie.autograd.nn.Parameters;
import reverie.rl.advantage.Advantages;
import reverie.rl.advantage.RawAdvantages;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;

/**
 * A whole training run of the {@link GaussianPolicy}, in float64, held against the biases where it
 * should end. Reached and exact are the shift of the mean of x_0; the error is the largest of that
 * and of every bias.
 *
 * @param name what is claimed
 * @param objective what is trained by
 * @param advantages of objectives that have some
 * @param reward of x_0
 * @param settings of the run; with an average of the weights, that is what counts
 * @param epochs of the run
 * @param optimum the biases where it should end
 * @param tolerance largest error
 * @param policy makes the base model
 */
public record RegularisedOptimum(
    String name,
    RolloutObjective objective,
    Advantages advantages,
    Reward reward,
    TrainerSettings settings,
    int epochs,
    double[] optimum,
    double tolerance,
    Supplier<GaussianPolicy> policy)
    implements Proof {

  /** On the chain of DDIM. */
  RegularisedOptimum(
      String name,
      RolloutObjective objective,
      Advantages advantages,
      Reward reward,
      TrainerSettings settings,
      int epochs,
      double[] optimum,
      double tolerance) {
    this(
        name,
        objective,
        advantages,
        reward,
        settings,
        epochs,
        optimum,
        tolerance,
        () -> new GaussianPolicy(Device.reference()));
  }

  /** For objectives that look at rewards themselves. */
  RegularisedOptimum(
      String name,
      RolloutObjective objective,
      Reward reward,
      TrainerSettings settings,
      int epochs,
      double[] optimum,
      double tolerance) {
    this(name, objective, new RawAdvantages(), reward, settings, epochs, optimum, tolerance);
  }

  @Override
  public Result run() {
    try (var gaussian = policy.get();
        Trainer trainer =
            new Trainer(
                gaussian.policy(),
                objective,
                advantages,
                PromptSource.of(prompts()),
                reward,
                settings)) {
      trainer.run(epochs);
      Parameters trained = trainer.average().orElse(gaussian.policy().parameters());
      double[] biases = trained.get(gaussian.biases().name()).value().toDoubles();
      double reached = gaussian.shift(biases);
      double exact = gaussian.shift(optimum);
      double worst =
          IntStream.range(0, biases.length)
              .mapToDouble(i -> Math.abs(biases[i] - optimum[i]))
              .max()
              .orElseThrow();
      return new Result(
          objective.name(), reached, exact, Math.max(worst, Math.abs(reached - exact)), tolerance);
    }
  }

  private String[] prompts() {
    return IntStream.range(0, settings.promptsPerEpoch())
        .mapToObj(i -> "prompt " + i)
        .toArray(String[]::new);
  }

  @Override
  public String toString() {
    return name + " at " + Arrays.toString(optimum);
  }
}
