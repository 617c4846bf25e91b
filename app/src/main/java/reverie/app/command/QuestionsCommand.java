// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import reverie.app.data.Estimate;
import reverie.app.evaluate.IconProblem;
import reverie.app.run.Interruption;
import reverie.app.text.PromptEncoder;
import reverie.rl.choice.ChoiceStudy;
import reverie.rl.choice.Contender;
import reverie.rl.choice.GaussianProblem;
import reverie.rl.choice.GradientNoise;
import reverie.rl.choice.MixtureProblem;
import reverie.tensor.Device;

/** Measures what docs/questions.md says of learning from choices. */
@Command(
    name = "questions",
    description =
        "Compare the objectives that learn from choices: where they end, what they cost, how noisy they are.",
    footer = {
      "",
      "Writes the tables of docs/questions.md, means with 95 % intervals. Some minutes each on two cores.",
      "",
      "Examples:",
      "  ./reverie questions",
      "  ./reverie questions mixture"
    })
final class QuestionsCommand implements Callable<Integer> {
  /** On what is compared. */
  enum Subject {
    GAUSSIAN,
    MIXTURE,
    ICONS
  }

  private static final int TRAINING_STEPS = 600;

  private final Session session;

  @Parameters(
      arity = "0..*",
      paramLabel = "SUBJECT",
      description = "${COMPLETION-CANDIDATES}; all if none is named.")
  private List<Subject> subjects = List.of();

  @Option(
      names = "--work",
      paramLabel = "FOLDER",
      description =
          "Where icons of 8×8 and the model that draws them are kept. Default: ${DEFAULT-VALUE}")
  private Path work = Path.of("runs", "questions");

  @Mixin private DeviceOption deviceOption;

  QuestionsCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() {
    for (Subject subject : subjects.isEmpty() ? List.of(Subject.values()) : subjects) {
      switch (subject) {
        case GAUSSIAN -> gaussian();
        case MIXTURE -> mixture();
        case ICONS -> icons();
      }
    }
    return ExitCode.OK;
  }

  private void gaussian() {
    var study =
        new ChoiceStudy(
            () -> new GaussianProblem(Device.reference()), 100, 128, 2e-2, 0.95, 5, 100, 256);
    head("A Gaussian", List.of("ends at, exactly", "θ"));
    for (Contender contender : Contender.all(GaussianProblem.BETA, 1, 8, 0)) {
      String exact = String.format(Locale.ROOT, "%.4f", GaussianProblem.exact(contender));
      row(study.run(contender), List.of(exact));
    }
  }

  private void mixture() {
    var study =
        new ChoiceStudy(
            () -> new MixtureProblem(Device.reference()), 120, 128, 5e-2, 0.95, 5, 100, 256);
    Map<String, Double> optimum = MixtureProblem.optimum();
    head("A mixture of two Gaussians", List.copyOf(optimum.keySet()));
    line(
        "optimum of the samples' own KL",
        optimum.values().stream()
            .map(value -> value.isNaN() ? "" : String.format(Locale.ROOT, "%.3f", value))
            .toList(),
        "",
        "");
    for (Contender contender : Contender.all(MixtureProblem.BETA, 2, 8, 0, 1, 4)) {
      row(study.run(contender), List.of());
    }
  }

  private void icons() {
    Device device = deviceOption.open(session);
    PromptEncoder encoder = session.encoder();
    try (Interruption stop = Interruption.listen(System.err)) {
      Path model = IconProblem.train(work, TRAINING_STEPS, encoder, device, session.out(), stop);
      var study =
          new ChoiceStudy(
              () -> new IconProblem(model, encoder, device, 128), 24, 16, 2e-4, 0, 3, 16, 128);
      head("Icons of 8×8", List.of("gain of E r", "KL of samples", "KL of chains"));
      for (Contender contender : Contender.all(IconProblem.BETA, IconProblem.ELEMENTS, 4, 1, 4)) {
        row(study.run(contender), List.of());
      }
    }
  }

  private void head(String title, List<String> columns) {
    PrintWriter out = session.out();
    out.printf(Locale.ROOT, "%n## %s%n%n", title);
    line("objective", columns, "noise of a pair's gradient", "processor seconds for 1,000 pairs");
    out.println("|---".repeat(columns.size() + 3) + "|");
    out.flush();
  }

  private void row(ChoiceStudy.Outcome outcome, List<String> before) {
    List<String> cells =
        Stream.concat(
                before.stream(),
                outcome.measured().values().stream().map(values -> interval(Estimate.mean(values))))
            .toList();
    GradientNoise noise = outcome.noise();
    line(
        outcome.contender().name(),
        cells,
        String.format(Locale.ROOT, "%.1f ± %.1f", noise.ratio(), 1.96 * noise.error()),
        String.format(Locale.ROOT, "%.2f", outcome.secondsPerThousand()));
  }

  private static String interval(Estimate estimate) {
    return String.format(
        Locale.ROOT, "%.3f [%.3f, %.3f]", estimate.mean(), estimate.low(), estimate.high());
  }

  private void line(String objective, List<String> cells, String noise, String seconds) {
    session
        .out()
        .println(
            Stream.of(List.of(objective), cells, List.of(noise, seconds))
                .flatMap(List::stream)
                .collect(Collectors.joining(" | ", "| ", " |")));
    session.out().flush();
  }
}
