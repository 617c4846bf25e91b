// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import reverie.app.config.FinetuneConfig;
import reverie.app.files.AtomicFile;
import reverie.app.report.Document;
import reverie.app.report.Plot;
import reverie.app.reproduce.Study.Claim;
import reverie.app.reproduce.Study.Expectation;
import reverie.app.run.Environment;
import tools.jackson.databind.json.JsonMapper;

/**
 * What the runs say of the claims, as {@code README.md} with plots, as {@code report.html} and in
 * numbers as {@code results.json}. Made of whatever is finished, at any time.
 */
public final class ReproductionReport {
  private final Reproduction reproduction;
  private final Study study;
  private final Map<String, ArmResults> arms = new LinkedHashMap<>();
  private final Document document = new Document("Claims of papers, tried on the icon model");

  private ReproductionReport(Reproduction reproduction) {
    this.reproduction = reproduction;
    study = reproduction.study();
    for (String arm : reproduction.arms()) {
      arms.put(
          arm,
          new ArmResults(
              study.arms().get(arm).label(),
              study.seeds().stream()
                  .flatMap(seed -> reproduction.outcome(arm, seed).stream())
                  .toList()));
    }
  }

  /**
   * Writes the report.
   *
   * @param folder made if missing
   * @return the page
   */
  public static Path write(Reproduction reproduction, Path folder) {
    ReproductionReport report = new ReproductionReport(reproduction);
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw AtomicFile.failure(folder, e);
    }
    report.verdicts();
    report.method();
    reproduction.claims().forEach(report::claim);
    report.search();
    report.failures();
    report.environment();
    AtomicFile.writeText(folder.resolve("README.md"), report.document.toMarkdown(folder));
    AtomicFile.writeText(
        folder.resolve("results.json"),
        new JsonMapper().writerWithDefaultPrettyPrinter().writeValueAsString(report.results())
            + "\n");
    Path page = folder.resolve("report.html");
    AtomicFile.writeText(page, report.document.toHtml());
    return page;
  }

  private void verdicts() {
    List<List<String>> rows = new ArrayList<>();
    for (String name : reproduction.claims()) {
      Claim claim = study.claims().get(name);
      int finished = claim.arms().stream().mapToInt(arm -> arms.get(arm).outcomes().size()).sum();
      rows.add(
          List.of(
              name.toUpperCase(Locale.ROOT),
              claim.title(),
              Judgement.Verdict.all(reproduction.judge(name)).label(),
              String.format(
                  Locale.ROOT, "%d of %d", finished, claim.arms().size() * study.seeds().size())));
    }
    document.table(List.of("claim", "", "verdict", "runs finished"), rows);
  }

  private void method() {
    document.heading(2, "How");
    document.paragraph(
        String.format(
                Locale.ROOT,
                "Every arm was run with the seeds %s. Runs of one seed share the prompts and the noise of their",
                study.seeds())
            + " evaluation, so that arms are compared seed by seed: the difference is given with its 95 %"
            + " interval and p by a paired t-test, without correction for several comparisons. An"
            + " expectation is held if the whole interval lies on the expected side, not held if it lies"
            + " on the other, and undecided otherwise; a claim is held if all its expectations are, and"
            + " not held if one is not.");
    document.paragraph(
        String.format(
                Locale.ROOT,
                "Where a setting was searched, runs of %d epochs with the seeds %s, which are not reported, chose it:",
                study.searchEpochs(),
                study.validationSeeds())
            + String.format(
                Locale.ROOT,
                " the largest %s among the values that keep %.0f %% of the images recognised. Safe gain is the"
                    + " largest gain along a run of an evaluation that still recognises %.0f %%.",
                study.searchBy().label(),
                100 * study.searchFloor(),
                100 * Metric.SAFE_SHARE));
    document.paragraph("Settings of all runs: " + String.join(", ", study.common()) + ".");
    if (!reproduction.overrides().isEmpty()) {
      document.paragraph(
          "Changed for this reproduction: " + String.join(", ", reproduction.overrides()) + ".");
    }
  }

  private void claim(String name) {
    Claim claim = study.claims().get(name);
    List<Judgement> judgements = reproduction.judge(name);
    document.heading(2, name.toUpperCase(Locale.ROOT) + ". " + claim.title());
    document.paragraph(claim.says() + " (" + claim.source() + ")");
    document.paragraph("Verdict: " + Judgement.Verdict.all(judgements).label() + ".");
    document.table(
        List.of("expected", "difference", "p", "seeds", "verdict"),
        judgements.stream().map(this::row).toList());
    document.table(
        ArmResults.COLUMNS, claim.arms().stream().map(arm -> arms.get(arm).row()).toList());
    plots(name, claim);
    document.paragraph(claim.note());
    document.code(
        String.join(
            "\n",
            claim.arms().stream()
                .map(arm -> reproduction.job(arm, study.seeds().getFirst()).command())
                .toList()));
  }

  private List<String> row(Judgement judgement) {
    return List.of(
        words(judgement.expectation()),
        Figures.interval(judgement.difference()),
        Figures.probability(judgement.p()),
        Integer.toString(judgement.difference().n()),
        judgement.verdict().label());
  }

  private String words(Expectation e) {
    String arm = study.arms().get(e.arm()).label();
    String than = e.than() == null ? "0" : study.arms().get(e.than()).label();
    String relation =
        switch (e.is()) {
          case GREATER -> " > ";
          case AT_LEAST ->
              e.margin() == 0
                  ? " ≥ "
                  : String.format(Locale.ROOT, " ≥ (within %.0f %%) ", 100 * e.margin());
          case LESS -> " < ";
        };
    String others = e.other() == null ? "" : " (" + e.other().label() + ")";
    return e.metric().label() + ": " + arm + relation + than + others;
  }

  /** Curves and frontier; arms with different rewards are drawn apart. */
  private void plots(String name, Claim claim) {
    Map<String, List<ArmResults>> byReward = new LinkedHashMap<>();
    for (String arm : claim.arms()) {
      List<String> settings = reproduction.job(arm, study.seeds().getFirst()).settings();
      String reward = FinetuneConfig.READER.read(null, null, settings).value().reward().title();
      byReward.computeIfAbsent(reward, _ -> new ArrayList<>()).add(arms.get(arm));
    }
    List<Plot> plots = new ArrayList<>();
    byReward.forEach((reward, compared) -> {
      plots.add(
          new Plot(
              reward,
              "reward queries",
              "reward gained, 95 % over seeds",
              compared.stream().map(ArmResults::curve).toList()));
      plots.add(
          new Plot(
              reward + ": what it costs",
              "share recognised",
              "reward gained",
              compared.stream().map(ArmResults::frontier).toList()));
    });
    document.plots(name, plots);
  }

  private void search() {
    List<List<String>> rows = new ArrayList<>();
    for (String arm : reproduction.searches().keySet()) {
      Study.Search search = study.arms().get(arm).search();
      Optional<String> chosen = reproduction.chosen(arm);
      List<String> grid = reproduction.grid(arm);
      for (String tried : grid) {
        String setting = search.key() + "=" + tried;
        boolean edge = tried.equals(grid.getFirst()) || tried.equals(grid.getLast());
        Function<Metric, String> value =
            metric ->
                Figures.of(
                    reproduction.searchJobs(arm, tried).stream()
                        .map(reproduction::outcome)
                        .flatMap(Optional::stream)
                        .mapToDouble(o -> o.value(metric))
                        .average()
                        .orElse(Double.NaN),
                    3);
        rows.add(
            List.of(
                study.arms().get(arm).label(),
                setting,
                value.apply(Metric.REWARD_GAIN),
                value.apply(Metric.SAFE_GAIN),
                value.apply(Metric.RECOGNISED),
                chosen.filter(setting::equals).isEmpty()
                    ? ""
                    : edge ? "chosen, at the edge" : "chosen"));
      }
    }
    if (!rows.isEmpty()) {
      document.heading(2, "Search on the validation seeds");
      document.table(
          List.of("arm", "setting", "reward gained", "safe gain", "recognised", ""), rows);
    }
  }

  private void failures() {
    List<List<String>> rows = new ArrayList<>();
    for (Reproduction.Job job : reproduction.all()) {
      job.failure().ifPresent(why -> rows.add(List.of(job.name(), why.lines().findFirst().get())));
    }
    if (!rows.isEmpty()) {
      document.heading(2, "Runs that failed");
      document.table(List.of("run", "why"), rows);
    }
  }

  private void environment() {
    double minutes =
        reproduction.all().stream()
            .map(reproduction::outcome)
            .flatMap(Optional::stream)
            .mapToDouble(outcome -> outcome.summary().seconds() / 60)
            .sum();
    Environment here = Environment.current();
    document.heading(2, "Compute");
    document.paragraph(
        String.format(
            Locale.ROOT,
            "%.0f minutes for all finished runs, the search included, on %d threads of %s (%s, Java %s,"
                + " revision %s).",
            minutes,
            here.threads(),
            here.cpu(),
            here.kernels(),
            here.java(),
            here.revision()));
  }

  private Map<String, Object> results() {
    Map<String, Object> results = new LinkedHashMap<>();
    for (String name : reproduction.claims()) {
      List<Judgement> judgements = reproduction.judge(name);
      Map<String, Object> claim = new LinkedHashMap<>();
      claim.put("verdict", Judgement.Verdict.all(judgements).label());
      claim.put("expectations", judgements.stream().map(this::toMap).toList());
      Map<String, Object> numbers = new LinkedHashMap<>();
      study.claims().get(name).arms().forEach(arm -> numbers.put(arm, arms.get(arm).toMap()));
      claim.put("arms", numbers);
      results.put(name, claim);
    }
    return results;
  }

  private Map<String, Object> toMap(Judgement judgement) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("expected", words(judgement.expectation()));
    map.put("difference", judgement.difference().toMap());
    map.put("p", Double.isNaN(judgement.p()) ? null : judgement.p());
    map.put("verdict", judgement.verdict().label());
    return map;
  }
}
