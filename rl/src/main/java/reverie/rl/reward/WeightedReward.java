// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import java.util.List;
import java.util.stream.Collectors;
import reverie.tensor.ReverieException;

/** The weighted sum of several rewards, each judging the same batch. */
public record WeightedReward(List<Term> terms) implements Reward {

  /** One reward and its weight. */
  public record Term(double weight, Reward reward) {
    /** Checks the weight. */
    public Term {
      if (!Double.isFinite(weight)) {
        throw new ReverieException(
            "weighted reward: the weight of " + reward.name() + " is " + weight);
      }
    }
  }

  /** Checks that there is something to sum. */
  public WeightedReward {
    if (terms.isEmpty()) {
      throw new ReverieException("weighted reward: expected at least one term, got none");
    }
    terms = List.copyOf(terms);
  }

  @Override
  public double[] score(RewardBatch batch) throws Exception {
    double[] sum = new double[batch.size()];
    for (Term term : terms) {
      double[] scores = RewardRunner.checked(term.reward(), batch, term.reward().score(batch));
      for (int i = 0; i < sum.length; i++) {
        sum[i] += term.weight() * scores[i];
      }
    }
    return sum;
  }

  @Override
  public String name() {
    return terms.stream()
        .map(t -> t.weight() + "*" + t.reward().name())
        .collect(Collectors.joining("+"));
  }

  @Override
  public List<Reward> parts() {
    return terms.stream().map(Term::reward).toList();
  }
}
