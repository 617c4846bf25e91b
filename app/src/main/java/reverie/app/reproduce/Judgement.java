// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import java.util.Arrays;
import org.apache.commons.math3.stat.inference.TTest;
import reverie.app.data.Estimate;
import reverie.app.reproduce.Study.Expectation;

/**
 * What the seeds say of an expectation. Runs of one seed share their evaluation's prompts and
 * noise, so arms are compared seed by seed: a paired t-test, and its 95 % interval decides.
 *
 * @param expectation what was expected
 * @param difference the arm minus what it is compared with, over the seeds; not a number while
 *     there are fewer than two seeds
 * @param p two-sided, of no difference
 * @param verdict whether it holds
 */
public record Judgement(Expectation expectation, Estimate difference, double p, Verdict verdict) {
  /** The answer. */
  public enum Verdict {
    /** The interval lies on the expected side. */
    HELD("held"),
    /** The interval lies on the other side. */
    NOT_HELD("not held"),
    /** The interval does not decide, or runs are missing. */
    UNDECIDED("undecided at this scale");

    private final String label;

    Verdict(String label) {
      this.label = label;
    }

    /** In words. */
    public String label() {
      return label;
    }

    /** Of several: all must hold; one that does not is enough. */
    static Verdict all(Iterable<Judgement> judgements) {
      Verdict worst = HELD;
      for (Judgement judgement : judgements) {
        if (judgement.verdict == NOT_HELD) {
          return NOT_HELD;
        }
        worst = judgement.verdict == UNDECIDED ? UNDECIDED : worst;
      }
      return worst;
    }
  }

  /**
   * Judges.
   *
   * @param arm the metric of each seed
   * @param other what it is compared with, seed by seed; zeros for none
   */
  public static Judgement of(Expectation expectation, double[] arm, double[] other) {
    double[] differences = new double[arm.length];
    Arrays.setAll(differences, i -> arm[i] - other[i]);
    boolean known = Arrays.stream(differences).allMatch(Double::isFinite);
    if (arm.length < 2 || !known) {
      return new Judgement(
          expectation,
          new Estimate(Double.NaN, Double.NaN, Double.NaN, arm.length),
          Double.NaN,
          Verdict.UNDECIDED);
    }
    Estimate difference = Estimate.mean(differences);
    boolean constant = difference.low() == difference.high();
    double p = constant ? difference.mean() == 0 ? 1 : 0 : new TTest().tTest(0, differences);
    double margin = expectation.margin() * Math.abs(Arrays.stream(other).average().orElse(0));
    return new Judgement(expectation, difference, p, verdict(expectation, difference, margin));
  }

  private static Verdict verdict(Expectation expectation, Estimate d, double margin) {
    boolean held =
        switch (expectation.is()) {
          case GREATER -> d.low() > 0;
          case AT_LEAST -> d.low() >= -margin;
          case LESS -> d.high() < 0;
        };
    // Not the least difference, for any seed.
    boolean nothing = d.low() == 0 && d.high() == 0;
    boolean refuted =
        switch (expectation.is()) {
          case GREATER -> d.high() < 0 || nothing;
          case AT_LEAST -> d.high() < -margin;
          case LESS -> d.low() > 0 || nothing;
        };
    return held ? Verdict.HELD : refuted ? Verdict.NOT_HELD : Verdict.UNDECIDED;
  }
}
