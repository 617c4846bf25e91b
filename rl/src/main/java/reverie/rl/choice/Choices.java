// SPDX-License-Identifier: Apache-2.0
package reverie.rl.choice;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import reverie.diffusion.Sampler;
import reverie.rl.Policy;
import reverie.rl.preference.Preference;
import reverie.rl.preference.PreferenceDataset;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** Choices with the odds of Bradley and Terry's model of a reward. */
public final class Choices {
  private Choices() {}

  /**
   * A reward plus noise of Gumbel's distribution, addressed by the sample: comparing it is choosing
   * by Bradley and Terry's model, ranking by it by Plackett and Luce's.
   *
   * @param reward whose differences are log-odds
   */
  public static Reward noisy(Reward reward, long seed) {
    return Reward.named(
        "choice",
        batch -> {
          double[] scores = reward.score(batch).clone();
          int each = batch.values().length / batch.size();
          for (int i = 0; i < scores.length; i++) {
            float[] own = Arrays.copyOfRange(batch.values(), i * each, (i + 1) * each);
            double u = Rng.of(seed).fork(Arrays.hashCode(own)).uniform(0);
            scores[i] -= Math.log(-Math.log(Math.max(u, 1e-300)));
          }
          return scores;
        });
  }

  /**
   * Draws two samples for each prompt from a model and chooses between them.
   *
   * @param batch pairs drawn at once
   */
  public static PreferenceDataset draw(
      Policy policy, Reward reward, List<Prompt> prompts, long seed, int batch) {
    Sampler sampler = new Sampler(policy.process(), policy.device());
    Reward noisy = noisy(reward, seed);
    List<Preference> pairs = new ArrayList<>();
    for (int from = 0; from < prompts.size(); from += batch) {
      int first = from;
      List<Prompt> twice =
          IntStream.range(2 * from, 2 * Math.min(from + batch, prompts.size()))
              .mapToObj(i -> prompts.get(i / 2))
              .toList();
      Rng[] rows =
          IntStream.range(0, twice.size())
              .mapToObj(i -> Sampler.row(seed, 1, 2L * first + i))
              .toArray(Rng[]::new);
      try (Scope _ = Scope.open("pairs")) {
        Tensor context = policy.encoder().encode(twice);
        float[] drawn =
            sampler
                .sample(
                    policy.denoiser(),
                    context,
                    rows,
                    policy.height(),
                    policy.width(),
                    policy.channels())
                .toFloats();
        pairs.addAll(chosen(policy, noisy, twice, drawn));
      }
    }
    return PreferenceDataset.of(pairs);
  }

  private static List<Preference> chosen(
      Policy policy, Reward noisy, List<Prompt> prompts, float[] drawn) {
    int each = drawn.length / prompts.size();
    float[] values = new float[drawn.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = (drawn[i] + 1) / 2;
    }
    double[] scores =
        score(
            noisy,
            RewardBatch.of(values, policy.height(), policy.width(), policy.channels(), prompts));
    List<Preference> pairs = new ArrayList<>();
    for (int i = 0; i < scores.length; i += 2) {
      float[] first = Arrays.copyOfRange(drawn, i * each, (i + 1) * each);
      float[] second = Arrays.copyOfRange(drawn, (i + 1) * each, (i + 2) * each);
      boolean firstWins = scores[i] > scores[i + 1];
      pairs.add(
          new Preference(prompts.get(i), firstWins ? first : second, firstWins ? second : first));
    }
    return pairs;
  }

  private static double[] score(Reward reward, RewardBatch batch) {
    try {
      return reward.score(batch);
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
