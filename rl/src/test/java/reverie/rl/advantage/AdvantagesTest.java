// SPDX-License-Identifier: Apache-2.0
package reverie.rl.advantage;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import reverie.rl.Statistics;
import reverie.rl.advantage.GroupAdvantages.Deviation;
import reverie.rl.advantage.GroupAdvantages.Scale;
import reverie.tensor.ReverieException;

class AdvantagesTest {
  /** Values returned by the tracker of ddpo-pytorch with a buffer of 4 and a minimum of 3. */
  @Test
  void perPromptEqualsTheReferenceTracker() {
    var tracker = new PerPromptAdvantages(4, 3);
    assertAdvantages(
        tracker,
        "a b a b",
        new double[] {1, 2, 3, 6},
        -1.069044396221432,
        -0.534522198110716,
        0,
        1.603566594332147);
    assertAdvantages(
        tracker,
        "a a b c",
        new double[] {5, 7, 0, 10},
        0.447213395500047,
        1.341640186500142,
        -1.069044539078441,
        1.236244735915653);
    var resumed = new PerPromptAdvantages(4, 3);
    resumed.restore(tracker.state());
    for (var either : List.of(tracker, resumed)) {
      assertAdvantages(
          either,
          "c c a c",
          new double[] {1, 2, -3, 4},
          -0.930949069584672,
          -0.644503202020158,
          -1.603567022903232,
          -0.071611466891129);
    }
    assertArrayEquals(new double[] {1, 2, 4}, Arrays.copyOfRange(tracker.state().get("c"), 1, 4));
    var shorter = new PerPromptAdvantages(2, 1);
    shorter.restore(tracker.state());
    assertArrayEquals(new double[] {2, 4}, shorter.state().get("c"));
  }

  /** Six epochs of the same tracker, recorded with a buffer of 8 and a minimum of 4. */
  @Test
  void perPromptEqualsTheRecordedEpochs() throws IOException {
    String json =
        new String(
            AdvantagesTest.class
                .getResourceAsStream("/reverie/rl/stat_tracker.json")
                .readAllBytes(),
            StandardCharsets.UTF_8);
    List<String[]> prompts = arrays(json, "prompts");
    List<String[]> rewards = arrays(json, "rewards");
    List<String[]> expected = arrays(json, "advantages");
    assertEquals(6, expected.size());
    var tracker = new PerPromptAdvantages(8, 4);
    for (int epoch = 0; epoch < 6; epoch++) {
      double[] advantages = tracker.of(List.of(prompts.get(epoch)), numbers(rewards.get(epoch)));
      assertArrayEquals(numbers(expected.get(epoch)), advantages, 1e-13, "epoch " + epoch);
    }
  }

  @Test
  void batchIsStandardised() {
    double[] advantages =
        new BatchAdvantages().of(List.of("a", "b", "c", "d"), new double[] {1, 2, 4, 9});
    assertEquals(0, Statistics.mean(advantages), 1e-15);
    assertEquals(1, Statistics.std(advantages, 0), 1e-8);
  }

  @Test
  void groupsAreCentredAndScaled() {
    List<String> prompts = List.of("a", "b", "a", "b");
    double[] rewards = {1, 10, 3, 16};
    assertArrayEquals(
        new double[] {-1, -1, 1, 1},
        new GroupAdvantages(Scale.GROUP, Deviation.POPULATION).of(prompts, rewards),
        1e-7);
    double root = Math.sqrt(0.5);
    assertArrayEquals(
        new double[] {-root, -root, root, root},
        new GroupAdvantages(Scale.GROUP, Deviation.SAMPLE).of(prompts, rewards),
        1e-7);
    double population = Statistics.std(rewards, 0);
    assertArrayEquals(
        new double[] {-1 / population, -3 / population, 1 / population, 3 / population},
        new GroupAdvantages().of(prompts, rewards),
        1e-7);
    double sample = population * Math.sqrt(4.0 / 3);
    assertArrayEquals(
        new double[] {-1 / sample, -3 / sample, 1 / sample, 3 / sample},
        new GroupAdvantages(Scale.GLOBAL, Deviation.SAMPLE).of(prompts, rewards),
        1e-7);
  }

  @Test
  void noneIsTheRewardItself() {
    assertArrayEquals(
        new double[] {3, -1}, new RawAdvantages().of(List.of("a", "a"), new double[] {3, -1}));
  }

  @Test
  void equalRewardsAndSingleSamplesNeverGiveNaN() {
    List<Advantages> all =
        new ArrayList<>(List.of(new BatchAdvantages(), new PerPromptAdvantages(4, 1)));
    for (Scale scale : Scale.values()) {
      for (Deviation deviation : Deviation.values()) {
        all.add(new GroupAdvantages(scale, deviation));
      }
    }
    for (Advantages advantages : all) {
      double[] equal =
          advantages.of(List.of("a", "a", "b", "b"), new double[] {0.25, 0.25, 0.25, 0.25});
      assertArrayEquals(new double[4], equal, advantages.toString());
      assertArrayEquals(
          new double[1], advantages.of(List.of("z"), new double[] {7}), advantages.toString());
      double[] nearly = advantages.of(List.of("q", "q", "q"), new double[] {0.1, 0.1, 0.1});
      assertTrue(Arrays.stream(nearly).allMatch(a -> Math.abs(a) < 1e-6), advantages.toString());
    }
  }

  @Test
  void misuseIsNamed() {
    assertThrows(
        ReverieException.class, () -> new BatchAdvantages().of(List.of("a"), new double[2]));
    assertThrows(ReverieException.class, () -> new PerPromptAdvantages(4, 5));
    assertThrows(
        ReverieException.class, () -> new GroupAdvantages().restore(Map.of("a", new double[1])));
  }

  private static void assertAdvantages(
      Advantages advantages, String prompts, double[] rewards, double... expected) {
    assertArrayEquals(expected, advantages.of(List.of(prompts.split(" ")), rewards), 1e-14);
  }

  private static List<String[]> arrays(String json, String key) {
    List<String[]> found = new ArrayList<>();
    Matcher matcher = Pattern.compile("\"" + key + "\": \\[([^]]*)]").matcher(json);
    while (matcher.find()) {
      found.add(matcher.group(1).replace("\"", "").split(", "));
    }
    return found;
  }

  private static double[] numbers(String[] texts) {
    return Arrays.stream(texts).mapToDouble(Double::parseDouble).toArray();
  }
}
