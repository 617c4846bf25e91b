// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.List;
import org.junit.jupiter.api.Test;

class StudyFileTest {
  /** A claim for another reward takes its arms along, and those that they are tuned as. */
  @Test
  void claimsAreRepeatedWithOtherRewards() {
    Study study =
        StudyFile.parse(
            """
            common: []
            seeds: [1, 2]
            validation_seeds: [100]
            search_epochs: 1
            search_floor: 0
            search: {key: optimizer.learning_rate, values: [0.1]}
            other_rewards:
              claims: [better]
              rewards: {dark: {label: darkness, settings: [reward.name=darkness]}}
            arms:
              base: {label: Base, settings: [objective=rwr], search: {key: epochs, values: [2]}}
              good: {label: Good, settings: [objective=grpo]}
              same: {label: Same, tuned_as: base}
            claims:
              better:
                title: Good is better
                source: a paper
                says: It is.
                expect: [{metric: reward_gain, arm: good, is: greater, than: same}]
              alone:
                title: Good gains
                source: a paper
                says: It does.
                expect: [{metric: reward_gain, arm: good, is: greater}]
            """);
    assertEquals(List.of("better", "better_dark", "alone"), List.copyOf(study.claims().keySet()));
    Study.Claim dark = study.claims().get("better_dark");
    assertEquals("Good is better, darkness", dark.title());
    assertEquals(List.of("good_dark", "same_dark"), dark.arms());
    assertNull(study.claims().get("alone").expect().getFirst().than());
    Study.Arm good = study.arms().get("good_dark");
    assertEquals("Good, darkness", good.label());
    assertEquals(List.of("objective=grpo", "reward.name=darkness"), good.settings());
    assertEquals("optimizer.learning_rate", good.search().key());
    assertNull(study.arms().get("same").search());
    assertEquals("base_dark", study.arms().get("same_dark").tunedAs());
    assertEquals("epochs", study.arms().get("base_dark").search().key());
  }
}
