// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.app.config.Configuration;
import reverie.app.config.ConfigurationException;
import reverie.app.config.ConfigurationReader;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.Estimate;
import reverie.app.report.EvaluationPoint;
import reverie.app.report.Summary;
import reverie.app.run.Interruption;
import reverie.app.run.Metrics;
import reverie.app.run.RunFolder;
import reverie.tensor.ReverieException;

/** The machinery, with runs that only pretend. */
class ReproductionTest {
  private static final ConfigurationReader<FinetuneConfig> READER = FinetuneConfig.READER;

  private static final Study STUDY =
      StudyFile.parse(
          """
          common: [epochs=2]
          seeds: [1, 2, 3]
          validation_seeds: [100]
          search_epochs: 1
          search_floor: 0.8
          arms:
            good:
              label: Good
              settings: [objective=ddpo_is]
              search: {key: optimizer.learning_rate, values: [0.001, 0.002, 0.003]}
            same: {label: Same, settings: [objective=ddpo_sf], tuned_as: good}
            bad: {label: Bad, settings: [objective=rwr]}
          claims:
            better:
              title: Good is better
              source: a paper
              says: It is.
              expect:
                - {metric: reward_gain, arm: good, is: greater, than: bad}
                - {metric: heldout_gain, arm: good, is: greater}
            level:
              title: Same is as good
              source: a paper
              says: It is.
              expect: [{metric: reward_gain, arm: same, is: at_least, than: good, margin: 0.2}]
            worse:
              title: Bad is better
              source: nobody
              says: It is not.
              expect: [{metric: reward_gain, arm: bad, is: greater, than: good}]
          """);

  @TempDir Path folder;
  private final List<String> done = new ArrayList<>();

  private Reproduction of(String... claims) {
    return of(STUDY, claims);
  }

  private Reproduction of(Study study, String... claims) {
    return new Reproduction(
        study,
        List.of(claims),
        folder,
        folder.resolve("outcomes.jsonl"),
        List.of("evaluation.samples=8"));
  }

  /** A run that gains as its objective and its learning rate say, and a little by its seed. */
  private void pretend(Reproduction.Job job) {
    done.add(job.name());
    Configuration<FinetuneConfig> configuration = READER.read(null, null, job.settings());
    FinetuneConfig config = configuration.value();
    double rate = config.training().learningRate();
    double gain =
        switch (config.objective().name()) {
          case "ddpo_is" -> 1000 * rate * 10;
          case "ddpo_sf" -> 1000 * rate * 10 - 0.5;
          default -> 5;
        };
    double noise = config.seed() == 2 ? 0.25 : 0;
    // The largest rate gains most and recognises nothing.
    double recognised = rate >= 0.003 ? 0.1 : 0.9;
    try (RunFolder run =
        RunFolder.create(
            job.path(), configuration, List.of("test"), new PrintWriter(Writer.nullWriter()))) {
      Estimate before = new Estimate(-240, -241, -239, 8);
      Estimate after = new Estimate(-240 + gain + noise, -240, -200, 8);
      try (Metrics metrics = run.metrics(0)) {
        metrics.log(0, new EvaluationPoint(0, before, before, before, 0).toMetrics());
        Map<String, Double> values =
            new LinkedHashMap<>(
                new EvaluationPoint(2, after, after, new Estimate(recognised, 0, 1, 8), 0.1)
                    .toMetrics());
        values.put("kl_to_base", 0.01);
        metrics.log(2, values);
      }
      new Summary(
              before,
              after,
              before,
              after,
              new Estimate(1, 0.9, 1, 8),
              new Estimate(recognised, 0, 1, 8),
              after,
              after,
              true,
              128,
              60,
              1000,
              0)
          .write(run);
    }
  }

  @Test
  void searchesThenRunsEverySeedAndJudges() throws IOException {
    Reproduction reproduction = of("better", "level", "worse");
    assertEquals(12, reproduction.left().size());
    reproduction.run(this::pretend, () -> false);
    assertEquals(
        List.of(
            "good-0.001-seed100",
            "good-0.002-seed100",
            "good-0.003-seed100",
            "good-seed1",
            "bad-seed1",
            "same-seed1"),
        done.subList(0, 6));
    assertEquals(12, done.size());
    assertTrue(reproduction.left().isEmpty());
    // 0.003 gained more but nothing was recognised any more.
    assertEquals(Optional.of("optimizer.learning_rate=0.002"), reproduction.chosen("good"));
    assertEquals(Optional.of("optimizer.learning_rate=0.002"), reproduction.chosen("same"));
    assertTrue(
        reproduction.job("same", 2).command().endsWith("optimizer.learning_rate=0.002"),
        () -> reproduction.job("same", 2).command());

    Judgement better = reproduction.judge("better").getFirst();
    // 20 against 5 for all seeds, whose noise is the same for both arms.
    assertEquals(15, better.difference().mean(), 1e-12);
    assertEquals(Judgement.Verdict.HELD, better.verdict());
    Judgement heldout = reproduction.judge("better").getLast();
    assertEquals(20 + 0.25 / 3, heldout.difference().mean(), 1e-12);
    assertTrue(heldout.p() < 1e-4 && heldout.p() > 0, () -> "p " + heldout.p());
    assertEquals(Judgement.Verdict.HELD, reproduction.judge("level").getFirst().verdict());
    assertEquals(Judgement.Verdict.NOT_HELD, reproduction.judge("worse").getFirst().verdict());

    // No difference for any seed is an answer too.
    Judgement none =
        Judgement.of(
            reproduction.judge("better").getFirst().expectation(),
            new double[] {3, 4, 5},
            new double[] {3, 4, 5});
    assertEquals(Judgement.Verdict.NOT_HELD, none.verdict());
    assertEquals(1, none.p());

    Path page = ReproductionReport.write(reproduction, folder.resolve("report"));
    String html = Files.readString(page);
    assertTrue(html.contains("<svg class=\"plot\""), html);
    String markdown = Files.readString(folder.resolve("report/README.md"));
    assertTrue(markdown.contains("| BETTER | Good is better | held | 6 of 6 |"), markdown);
    assertTrue(markdown.contains("| WORSE | Bad is better | not held | 6 of 6 |"), markdown);
    assertTrue(markdown.contains("reward gained: Good > Bad | 15.0 [15.0, 15.0]"), markdown);
    assertTrue(
        markdown.contains("./reverie finetune --out runs/good-seed1 --set epochs=2"), markdown);
    assertTrue(markdown.contains("![jpeg_compressibility](better-1.svg)"), markdown);
    assertTrue(
        Files.readString(folder.resolve("report/better-1.svg"))
            .startsWith("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    assertTrue(Files.readString(folder.resolve("report/results.json")).contains("\"not held\""));
  }

  @Test
  void thePriceIsThatOfWhatIsLeft() {
    Reproduction reproduction = of("better", "level");
    // Three of a search with one epoch and nine of two epochs, of 16 prompts x 8 images.
    assertEquals("2,688 reward queries", Price.of(reproduction).toString());
    pretend(reproduction.all().getFirst());
    assertEquals(
        "2,560 reward queries, 0.3 hours by the 0.4688 s of each in 1 finished runs",
        Price.of(of("better", "level")).toString());
  }

  @Test
  void stopsAndGoesOn() {
    Reproduction reproduction = of("worse");
    assertThrows(
        Interruption.Stopped.class, () -> reproduction.run(this::pretend, () -> done.size() == 4));
    assertEquals(4, done.size());
    // Made of what is there: too little to decide.
    assertEquals(Judgement.Verdict.UNDECIDED, reproduction.judge("worse").getFirst().verdict());
    ReproductionReport.write(reproduction, folder);
    of("worse").run(this::pretend, () -> false);
    assertEquals(9, done.size());
    assertEquals(9, done.stream().distinct().count());
  }

  @Test
  void anOutcomesFileThatCannotBeWrittenStopsBeforeTheFirstRun() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "");
    for (Path outcomes : List.of(folder, file.resolve("outcomes.jsonl"))) {
      assertThrows(
          ReverieException.class,
          () ->
              new Reproduction(STUDY, List.of("worse"), folder, outcomes, List.of())
                  .run(this::pretend, () -> false));
    }
    assertEquals(List.of(), done);
  }

  @Test
  void aRunThatFailsIsToldAndNotRepeated() throws IOException {
    Reproduction reproduction = of("worse");
    reproduction.run(
        job -> {
          if (job.name().equals("bad-seed2")) {
            done.add(job.name());
            throw new ReverieException("the model diverged", "try less");
          }
          pretend(job);
        },
        () -> false);
    assertEquals(9, done.size());
    assertEquals(2, reproduction.judge("worse").getFirst().difference().n());
    ReproductionReport.write(reproduction, folder);
    assertTrue(
        Files.readString(folder.resolve("README.md"))
            .contains("| bad-seed2 | the model diverged |"));
    assertThrows(
        ConfigurationException.class,
        () ->
            new Reproduction(
                    STUDY,
                    List.of("better"),
                    folder.resolve("other"),
                    folder.resolve("other/outcomes.jsonl"),
                    List.of())
                .run(
                    _ -> {
                      throw new ConfigurationException("wrong", "right");
                    },
                    () -> false));
  }

  @Test
  void unknownNamesAreErrors() {
    assertTrue(
        assertThrows(ConfigurationException.class, () -> of("c99"))
            .getMessage()
            .contains("one of better, level, worse"));
    Path file = folder.resolve("study.yaml");
    assertThrows(
        ConfigurationException.class, () -> StudyFile.read(Files.writeString(file, "commn: []")));
    assertThrows(ConfigurationException.class, () -> STUDY.withSeeds(List.of(1L)));
    assertThrows(ConfigurationException.class, () -> STUDY.withSeeds(List.of(1L, 100L)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"claims", "claims-2", "claims-3"})
  void allRunsOfTheShippedStudiesCanBeConfigured(String name) {
    Study study = StudyFile.shipped(name).orElseThrow();
    Reproduction reproduction = all(study);
    assertFalse(reproduction.all().isEmpty());
    Map<String, Integer> queries = new LinkedHashMap<>();
    for (String arm : reproduction.arms()) {
      queries.put(arm, queries(reproduction.job(arm, 1)));
    }
    reproduction.searches().values().forEach(jobs -> assertTrue(queries(jobs.getFirst()) > 0));
    // Arms that are compared ask the reward equally often.
    for (Study.Claim claim : study.claims().values()) {
      for (Study.Expectation expectation : claim.expect()) {
        if (expectation.than() != null) {
          assertEquals(queries.get(expectation.than()), queries.get(expectation.arm()));
        }
      }
    }
  }

  private Reproduction all(Study study) {
    return new Reproduction(
        study, study.claims().keySet(), folder, folder.resolve("outcomes.jsonl"), List.of());
  }

  private static int queries(Reproduction.Job job) {
    FinetuneConfig config = READER.read(null, null, job.settings()).value();
    return config.epochs() * config.prompts().perEpoch() * config.prompts().imagesEach();
  }

  /** The gain rises with the rate until nothing is recognised: two values more on the right. */
  @Test
  void aGridGrowsUntilTheBestIsInside() {
    Study study =
        StudyFile.parse(
            """
            common: [epochs=2]
            seeds: [1, 2]
            validation_seeds: [100, 101]
            search_epochs: 2
            search_floor: 0
            search_by: safe_gain
            arms:
              good:
                label: Good
                settings: [objective=ddpo_is]
                search: {key: optimizer.learning_rate, values: [0.0005, 0.001], widen: 3}
            claims:
              gains:
                title: It gains
                source: a paper
                says: It does.
                expect: [{metric: safe_gain, arm: good, is: greater}]
            """);
    Reproduction reproduction = of(study, "gains");
    assertEquals(6, reproduction.left().size());
    reproduction.run(this::pretend, () -> false);
    assertEquals(List.of("0.0005", "0.001", "0.002", "0.004"), reproduction.grid("good"));
    assertEquals(Optional.of("optimizer.learning_rate=0.002"), reproduction.chosen("good"));
    assertEquals(4 * 2 + 2, done.size());
    assertTrue(done.contains("good-0.004-seed101"));
  }

  /** The file of outcomes is all that has to go to another machine. */
  @Test
  void goesOnElsewhereFromTheOutcomes() throws IOException {
    Reproduction first = of("worse");
    assertThrows(
        Interruption.Stopped.class, () -> first.run(this::pretend, () -> done.size() == 5));
    assertEquals(5, first.all().size() - first.left().size());
    Path kept = Files.move(folder.resolve("outcomes.jsonl"), folder.resolve("kept.jsonl"));
    Reproduction second =
        new Reproduction(
            STUDY,
            List.of("worse"),
            folder.resolve("elsewhere"),
            kept,
            List.of("evaluation.samples=8"));
    assertEquals(4, second.left().size());
    second.run(this::pretend, () -> false);
    assertEquals(9, done.size());
    assertEquals(9, Files.readAllLines(kept).size());
    assertEquals(-15, second.judge("worse").getFirst().difference().mean(), 1e-12);
    assertEquals(20, second.outcome("good", 1).orElseThrow().value(Metric.REWARD_GAIN), 1e-12);

    Reproduction changed =
        new Reproduction(STUDY, List.of("worse"), folder.resolve("elsewhere"), kept, List.of());
    assertTrue(
        assertThrows(ConfigurationException.class, changed::left)
            .getMessage()
            .contains("with other settings"));
    Files.writeString(kept, "{\"run\": 1\n");
    assertTrue(
        assertThrows(
                ReverieException.class,
                () -> new Reproduction(STUDY, List.of("worse"), folder, kept, List.of()))
            .getMessage()
            .contains("line 1 is no outcome"));
  }

  @Test
  void aSafeGainLeavesTheIconsRecognised() {
    Estimate base = new Estimate(-240, -241, -239, 8);
    List<EvaluationPoint> points = new ArrayList<>();
    double[][] path = {{-240, 1}, {-220, .9}, {-200, .7}, {-150, .69}, {-100, .1}};
    for (int i = 0; i < path.length; i++) {
      points.add(
          new EvaluationPoint(
              i, new Estimate(path[i][0], 0, 0, 8), base, new Estimate(path[i][1], 0, 1, 8), 0));
    }
    assertEquals(40, new Outcome(null, points, 0, 0, 64).value(Metric.SAFE_GAIN), 1e-12);
    assertEquals(
        0, new Outcome(null, points.subList(0, 1), 0, 0, 64).value(Metric.SAFE_GAIN), 1e-12);
  }
}
