// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Collectors;
import reverie.app.data.DataSet;
import reverie.rl.reward.NormalizedReward;
import reverie.rl.reward.Reward;
import reverie.rl.reward.WeightedReward;
import reverie.tensor.ReverieException;

/**
 * The weighted sum of other rewards.
 *
 * @param sum its terms
 */
public record Sum(List<Term> sum) implements RewardKind {

  /**
   * A term.
   *
   * @param reward what is added
   * @param weight its factor
   * @param normalize whether it is put into units of its spread first
   * @param mean what is subtracted then; empty together with the deviation for those of what the
   *     base model draws
   * @param deviation what is divided by then
   */
  public record Term(
      RewardChoice reward,
      double weight,
      boolean normalize,
      OptionalDouble mean,
      OptionalDouble deviation) {
    /** Checks that the numbers fit each other. */
    public Term {
      if (mean.isPresent() != deviation.isPresent()) {
        throw new ReverieException(
            "reward sum: " + reward.title() + " has a mean or a deviation alone",
            "give both, or neither to have them measured on the base model");
      }
      if (mean.isPresent() && !normalize) {
        throw new ReverieException(
            "reward sum: " + reward.title() + " has a mean and a deviation, but is not normalized",
            "add normalize: true, or leave them out");
      }
      if (!Double.isFinite(weight)) {
        throw new ReverieException(
            "reward sum: the weight of " + reward.title() + " is " + weight,
            "give it a finite number");
      }
    }

    private Reward make() {
      Reward made = reward.make();
      if (!normalize) {
        return made;
      }
      return mean.isPresent()
          ? new NormalizedReward(
              made, new NormalizedReward.Spread(mean.getAsDouble(), deviation.getAsDouble()))
          : new NormalizedReward(made);
    }

    private String title() {
      return weight == 1
          ? reward.title()
          : String.format(Locale.ROOT, "%s %s", shown(weight), reward.title());
    }

    private static String shown(double weight) {
      return weight == Math.rint(weight) && Math.abs(weight) < 1e9
          ? Long.toString((long) weight)
          : Double.toString(weight);
    }
  }

  /** Checks that there is something to add. */
  public Sum {
    if (sum.isEmpty() || sum.stream().anyMatch(Objects::isNull)) {
      throw new ReverieException(
          "reward: 'sum' has " + (sum.isEmpty() ? "no terms" : "an empty term"),
          "for example --set 'reward.sum=[{reward: jpeg_compressibility}, {reward: {onnx:"
              + " judge.yaml}}]'");
    }
    sum = List.copyOf(sum);
  }

  @Override
  public String title() {
    return sum.stream().map(Term::title).collect(Collectors.joining(" + "));
  }

  @Override
  public Reward make(String name) {
    return Reward.named(
        name,
        new WeightedReward(
            sum.stream().map(term -> new WeightedReward.Term(term.weight, term.make())).toList()));
  }

  @Override
  public Optional<DataSet> comparesWith() {
    return sum.stream().flatMap(term -> term.reward.kind().comparesWith().stream()).findFirst();
  }

  @Override
  public Duration usualTimeout() {
    return sum.stream()
        .map(term -> term.reward.kind().usualTimeout())
        .max(Comparator.naturalOrder())
        .orElseThrow();
  }
}
