// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import reverie.app.reproduce.Judgement.Verdict;
import reverie.app.reproduce.Study.Expectation;
import reverie.app.reproduce.Study.Relation;

/** Four seeds each, beside 10; a margin of 0.1 is 1. */
class JudgementTest {
  private static final double[] OTHER = {10, 10, 10, 10};

  /**
   * Of seeds that lie by 0.1 and 0.2 on both sides of 10 + shift, so that ± 0.29 is the interval.
   */
  private static Verdict verdict(Relation relation, double shift) {
    double[] arm = {
      OTHER[0] + shift + 0.1, OTHER[1] + shift - 0.1, OTHER[2] + shift + 0.2, OTHER[3] + shift - 0.2
    };
    var expectation = new Expectation(Metric.REWARD_GAIN, "arm", relation, "other", null, 0.1);
    return Judgement.of(expectation, arm, OTHER).verdict();
  }

  @Test
  void theWholeIntervalDecides() {
    assertEquals(Verdict.HELD, verdict(Relation.GREATER, 0.3));
    assertEquals(Verdict.UNDECIDED, verdict(Relation.GREATER, 0.2));
    assertEquals(Verdict.UNDECIDED, verdict(Relation.GREATER, -0.2));
    assertEquals(Verdict.NOT_HELD, verdict(Relation.GREATER, -0.3));
    assertEquals(Verdict.HELD, verdict(Relation.LESS, -0.3));
    assertEquals(Verdict.UNDECIDED, verdict(Relation.LESS, 0.2));
    assertEquals(Verdict.NOT_HELD, verdict(Relation.LESS, 0.3));
    assertEquals(Verdict.HELD, verdict(Relation.AT_LEAST, -0.7));
    assertEquals(Verdict.UNDECIDED, verdict(Relation.AT_LEAST, -0.8));
    assertEquals(Verdict.UNDECIDED, verdict(Relation.AT_LEAST, -1.2));
    assertEquals(Verdict.NOT_HELD, verdict(Relation.AT_LEAST, -1.3));
  }
}
