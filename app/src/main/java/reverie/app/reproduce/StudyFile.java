// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import reverie.app.config.ConfigurationException;
import reverie.app.files.AtomicFile;
import reverie.app.reproduce.Study.Arm;
import reverie.app.reproduce.Study.Claim;
import reverie.app.reproduce.Study.Expectation;
import reverie.app.reproduce.Study.Search;
import reverie.tensor.io.JsonText;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.dataformat.yaml.YAMLMapper;

/**
 * A {@link Study} as YAML declares it, with keys in snake case: what many arms have in common is
 * said once.
 *
 * @param search of every arm that says nothing of a search; null for none
 * @param otherRewards null for none; the other components are those of a study
 */
public record StudyFile(
    List<String> common,
    List<Long> seeds,
    List<Long> validationSeeds,
    int searchEpochs,
    double searchFloor,
    Metric searchBy,
    Search search,
    OtherRewards otherRewards,
    Map<String, Arm> arms,
    Map<String, Claim> claims) {
  private static final YAMLMapper YAML =
      YAMLMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
          .build();

  /**
   * Claims that are also judged for other rewards, each with all arms that it is about, as {@code
   * NAME_REWARD}.
   *
   * @param claims their names
   * @param rewards label and settings of each, by name
   */
  public record OtherRewards(List<String> claims, Map<String, Arm> rewards) {}

  /** The study that Reverie ships. */
  public static Study shipped() {
    return shipped("claims").orElseThrow();
  }

  /** A study that Reverie ships, by its name. */
  public static Optional<Study> shipped(String name) {
    try (InputStream in = StudyFile.class.getResourceAsStream(name + ".yaml")) {
      return in == null
          ? Optional.empty()
          : Optional.of(parse(new String(in.readAllBytes(), StandardCharsets.UTF_8)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Reads a file of a study. */
  public static Study read(Path file) {
    try {
      return parse(JsonText.text(file, JsonText.MAX_BYTES));
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    } catch (JacksonException e) {
      throw new ConfigurationException(
          String.format(Locale.ROOT, "study %s: %s", file, e.getOriginalMessage()),
          "it should look like claims.yaml in the sources of reverie.app.reproduce");
    }
  }

  /** Reads a study in YAML. */
  public static Study parse(String yaml) {
    return YAML.readValue(yaml, StudyFile.class).study();
  }

  private Study study() {
    Map<String, Arm> allArms = new LinkedHashMap<>();
    arms.forEach((name, arm) -> allArms.put(name, searching(arm)));
    Map<String, Claim> allClaims = new LinkedHashMap<>();
    claims.forEach((name, claim) -> {
      allClaims.put(name, claim);
      if (otherRewards != null && otherRewards.claims().contains(name)) {
        otherRewards
            .rewards()
            .forEach((suffix, reward) -> {
              allClaims.put(name + "_" + suffix, repeated(claim, suffix, reward));
              addArms(allArms, claim, suffix, reward);
            });
      }
    });
    return new Study(
        common, seeds, validationSeeds, searchEpochs, searchFloor, searchBy, allArms, allClaims);
  }

  private Arm searching(Arm arm) {
    return arm.search() == null && arm.tunedAs() == null
        ? new Arm(arm.label(), arm.settings(), search, null)
        : arm;
  }

  /** The arms of a claim, and those whose search decides for them, with another reward. */
  private static void addArms(Map<String, Arm> arms, Claim claim, String suffix, Arm reward) {
    Deque<String> names = new ArrayDeque<>(claim.arms());
    while (!names.isEmpty()) {
      String name = names.remove();
      Arm arm = arms.get(name);
      if (arm != null && !arms.containsKey(name + "_" + suffix)) {
        arms.put(name + "_" + suffix, repeated(arm, suffix, reward));
        Stream.ofNullable(arm.tunedAs()).forEach(names::add);
      }
    }
  }

  private static Arm repeated(Arm arm, String suffix, Arm reward) {
    return new Arm(
        arm.label() + ", " + reward.label(),
        Stream.concat(arm.settings().stream(), reward.settings().stream()).toList(),
        arm.search(),
        renamed(arm.tunedAs(), suffix));
  }

  private static Claim repeated(Claim claim, String suffix, Arm reward) {
    return new Claim(
        claim.title() + ", " + reward.label(),
        claim.source(),
        claim.says(),
        claim.expect().stream()
            .map(e ->
                new Expectation(
                    e.metric(),
                    renamed(e.arm(), suffix),
                    e.is(),
                    renamed(e.than(), suffix),
                    e.other(),
                    e.margin()))
            .toList(),
        claim.shown().stream().map(name -> renamed(name, suffix)).toList(),
        claim.note());
  }

  private static String renamed(String name, String suffix) {
    return name == null ? null : name + "_" + suffix;
  }
}
