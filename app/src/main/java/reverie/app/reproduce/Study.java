// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import reverie.app.config.ConfigurationException;

/**
 * What is tried: arms (ways to fine-tune) and claims about them, as a {@link StudyFile} declares
 * them. Every arm is run with every seed at equal reward queries.
 *
 * @param common settings of all runs, {@code key=value} each
 * @param seeds that are reported
 * @param validationSeeds of the search for hyperparameters, never reported
 * @param searchEpochs length of a run of the search
 * @param searchFloor least share of icons that must still be recognised for a value to be chosen
 * @param searchBy what a value is chosen by; null for the gain of reward
 * @param arms by name
 * @param claims by name
 */
public record Study(
    List<String> common,
    List<Long> seeds,
    List<Long> validationSeeds,
    int searchEpochs,
    double searchFloor,
    Metric searchBy,
    Map<String, Arm> arms,
    Map<String, Claim> claims) {

  /**
   * A way to fine-tune.
   *
   * @param label in tables and plots
   * @param settings on top of the common ones
   * @param search what is tried on the validation seed first; null for nothing
   * @param tunedAs the arm whose search decides for this one; null for its own
   */
  public record Arm(String label, List<String> settings, Search search, String tunedAs) {
    /** Nothing where nothing is said. */
    public Arm {
      settings = settings == null ? List.of() : List.copyOf(settings);
    }
  }

  /**
   * A search along one setting.
   *
   * @param key of the setting
   * @param values to try, rising
   * @param widen how many values more may be tried on either side while the best is the last there,
   *     each so far from its neighbour as that from the next
   */
  public record Search(String key, List<String> values, int widen) {}

  /**
   * What somebody said.
   *
   * @param title in a few words
   * @param source where it was said
   * @param says what should be seen if it holds here
   * @param expect that in numbers
   * @param shown arms that are run and shown beside those compared
   * @param note on how this differs from the source
   */
  public record Claim(
      String title,
      String source,
      String says,
      List<Expectation> expect,
      List<String> shown,
      String note) {
    /** Nothing where nothing is said. */
    public Claim {
      shown = shown == null ? List.of() : List.copyOf(shown);
      note = note == null ? "" : note;
    }

    /** All arms that it is about, in order. */
    public List<String> arms() {
      Set<String> names = new LinkedHashSet<>();
      expect.forEach(e -> {
        names.add(e.arm());
        if (e.than() != null) {
          names.add(e.than());
        }
      });
      names.addAll(shown);
      return List.copyOf(names);
    }
  }

  /** How two numbers should compare. */
  public enum Relation {
    /** More. */
    GREATER,
    /** Not less, within the margin. */
    AT_LEAST,
    /** Less. */
    LESS
  }

  /**
   * What should be seen.
   *
   * @param metric of each run
   * @param arm whose
   * @param is how it compares
   * @param than with which arm; null for comparing with 0
   * @param other metric of that arm; null for the same
   * @param margin of AT_LEAST, as a share of what is compared with
   */
  public record Expectation(
      Metric metric, String arm, Relation is, String than, Metric other, double margin) {
    /** The metric of the arm that is compared with. */
    public Metric otherMetric() {
      return other == null ? metric : other;
    }
  }

  /** Checks that all names are known. */
  public Study {
    List<String> unknown = new ArrayList<>();
    for (Claim claim : claims.values()) {
      claim.arms().stream().filter(name -> !arms.containsKey(name)).forEach(unknown::add);
    }
    for (Arm arm : arms.values()) {
      Stream.ofNullable(arm.tunedAs())
          .filter(name -> !arms.containsKey(name))
          .forEach(unknown::add);
    }
    if (!unknown.isEmpty()) {
      throw new ConfigurationException(
          "study: there are no arms " + unknown, "one of " + String.join(", ", arms.keySet()));
    }
    if (searchBy == null) {
      searchBy = Metric.REWARD_GAIN;
    }
    if (seeds.size() < 2
        || validationSeeds.isEmpty()
        || seeds.stream().anyMatch(validationSeeds::contains)) {
      throw new ConfigurationException(
          String.format(
              Locale.ROOT,
              "study: expected at least 2 seeds without the validation seeds %s, got %s",
              validationSeeds,
              seeds),
          "for example seeds 1, 2 and 3");
    }
  }

  /** The same with other seeds. */
  public Study withSeeds(List<Long> others) {
    return new Study(
        common, others, validationSeeds, searchEpochs, searchFloor, searchBy, arms, claims);
  }

  /** The arm that searches for this one: itself, or another; null if nothing is searched. */
  String searcher(String arm) {
    String name = arms.get(arm).tunedAs() == null ? arm : arms.get(arm).tunedAs();
    return arms.get(name).search() == null ? null : name;
  }
}
