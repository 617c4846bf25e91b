// SPDX-License-Identifier: Apache-2.0
package reverie.rl.choice;

import java.util.List;
import java.util.Map;
import reverie.rl.Policy;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Reward;

/** A model at its beginning, and a reward of finished samples whose differences are log-odds. */
public interface ChoiceProblem extends AutoCloseable {
  /** What is trained; its chain has decisions. */
  Policy policy();

  /** Larger is better; in log-odds of a choice. */
  Reward reward();

  /** The prompts of so many pairs. */
  List<Prompt> prompts(int pairs);

  /**
   * What became of the model, in numbers by name.
   *
   * @param divergence KL of its chains to those of the base model, in nats
   */
  Map<String, Double> measure(double divergence);

  @Override
  void close();
}
