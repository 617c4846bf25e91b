// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.function.BooleanSupplier;
import java.util.stream.LongStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import reverie.app.config.Configuration;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.finetune.Finetuning;
import reverie.app.reproduce.Price;
import reverie.app.reproduce.Reproduction;
import reverie.app.reproduce.ReproductionReport;
import reverie.app.reproduce.Study;
import reverie.app.reproduce.StudyFile;
import reverie.app.run.Interruption;
import reverie.app.run.RunFolder;
import reverie.tensor.Device;

/** Tries the claims of papers. */
@Command(
    name = "reproduce",
    description = "Try claims of papers on the icon model, over several seeds, and say what held.",
    footer = {
      "",
      "A piece ends when its minutes are over; the same command goes on from there.",
      "",
      "Examples:",
      "  ./reverie reproduce --list",
      "  ./reverie reproduce c1 c2 --minutes 90",
      "  ./reverie reproduce price --study claims-2 --out runs/study-2",
      "  ./reverie reproduce --report-only --report docs/reproduction"
    })
final class ReproduceCommand implements Callable<Integer> {
  private final Session session;
  @Mixin private DeviceOption deviceOption;

  @Parameters(paramLabel = "CLAIM", arity = "0..*", description = "Which claims. Default: all.")
  private List<String> claims = new ArrayList<>();

  @Option(
      names = "--out",
      paramLabel = "FOLDER",
      description = "Where the runs are kept. Default: ${DEFAULT-VALUE}")
  private Path out = Path.of("runs/reproduce");

  @Option(
      names = "--report",
      paramLabel = "FOLDER",
      description = "Where the results are written. Default: the folder of the runs.")
  private Path report;

  @Option(
      names = "--outcomes",
      paramLabel = "FILE",
      description =
          "Numbers of finished runs, which are not done again: a small file, to go on elsewhere."
              + " Default: outcomes.jsonl in the folder of the runs.")
  private Path outcomes;

  @Option(
      names = "--minutes",
      paramLabel = "N",
      description = "Stop after so long, with a checkpoint. Default: ${DEFAULT-VALUE}")
  private double minutes = 90;

  @Option(
      names = "--seeds",
      paramLabel = "N",
      description = "Seeds 1 to N instead of those of the study.")
  private Integer seeds;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "A setting of all runs, on top of the study's; may be repeated.")
  private List<String> settings = new ArrayList<>();

  @Option(
      names = "--study",
      paramLabel = "FILE",
      description =
          "Arms and claims in YAML, or claims (default), claims-2 or claims-3, the studies that Reverie"
              + " ships.")
  private String file = "claims";

  @Option(names = "--list", description = "Say what there is to do and its price, and do nothing.")
  private boolean list;

  @Option(names = "--report-only", description = "Write the results of the runs that are there.")
  private boolean reportOnly;

  ReproduceCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() {
    SamplingOptions.require("--minutes", minutes, 0, 100_000);
    Study study = study();
    Reproduction reproduction =
        new Reproduction(
            study,
            claims.isEmpty() ? study.claims().keySet() : List.copyOf(claims),
            out,
            outcomes == null ? out.resolve("outcomes.jsonl") : outcomes,
            settings);
    List<Reproduction.Job> left = check(reproduction);
    if (list) {
      list(reproduction, left);
      return ExitCode.OK;
    }
    boolean unfinished = false;
    if (!reportOnly && !left.isEmpty()) {
      unfinished = !run(reproduction);
    }
    Path written = ReproductionReport.write(reproduction, report == null ? out : report);
    session.out().println("results: " + written);
    if (unfinished) {
      session
          .out()
          .println(reproduction.left().size() + " runs are left; the same command goes on");
      return ExitCode.UNFINISHED;
    }
    return ExitCode.OK;
  }

  private Study study() {
    Study study = StudyFile.shipped(file).orElseGet(() -> StudyFile.read(Path.of(file)));
    if (seeds == null) {
      return study;
    }
    SamplingOptions.require("--seeds", seeds, 2, 99);
    return study.withSeeds(LongStream.rangeClosed(1, seeds).boxed().toList());
  }

  /** Everything that can be known to be wrong before the first run; gives what is to be done. */
  private List<Reproduction.Job> check(Reproduction reproduction) {
    for (Reproduction.Job job : reproduction.all()) {
      Configuration<FinetuneConfig> configuration = configuration(job);
      if (Files.exists(job.path().resolve(RunFolder.CONFIG))) {
        List<String> differences = configuration.differencesFrom(RunFolder.readConfig(job.path()));
        if (!differences.isEmpty()) {
          throw new ConfigurationException(
              String.format(
                  Locale.ROOT,
                  "reproduce: the run in %s has other settings than asked for now:\n  %s",
                  job.path(),
                  String.join("\n  ", differences)),
              "choose another --out, or remove that folder");
        }
      }
    }
    return reproduction.left();
  }

  private void list(Reproduction reproduction, List<Reproduction.Job> left) {
    reproduction
        .claims()
        .forEach(name ->
            session
                .out()
                .printf(
                    Locale.ROOT,
                    "%-6s %s%n",
                    name,
                    reproduction.study().claims().get(name).title()));
    session
        .out()
        .printf(Locale.ROOT, "%d of %d runs are left:%n", left.size(), reproduction.all().size());
    left.forEach(job -> session.out().println("  " + job.name()));
    session.out().println(Price.of(reproduction));
  }

  /** Whether everything was done. */
  private boolean run(Reproduction reproduction) {
    long end = System.nanoTime() + Duration.ofSeconds(Math.round(60 * minutes)).toNanos();
    Device device = deviceOption.open(session);
    try (Interruption interruption = Interruption.listen(System.err)) {
      BooleanSupplier stop = () -> interruption.requested() || System.nanoTime() - end > 0;
      try {
        reproduction.run(
            job -> {
              session
                  .out()
                  .printf(Locale.ROOT, "%n%s, %d left%n", job.name(), reproduction.left().size());
              session.out().flush();
              finetune(job, device, stop);
            },
            stop);
        return true;
      } catch (Interruption.Stopped e) {
        if (interruption.requested()) {
          throw e;
        }
        return false;
      }
    }
  }

  private void finetune(Reproduction.Job job, Device device, BooleanSupplier stop) {
    Configuration<FinetuneConfig> configuration = configuration(job);
    boolean begun = Files.exists(job.path().resolve(RunFolder.CONFIG));
    try (Finetuning finetuning = new Finetuning(configuration.value(), session.encoder(), device);
        RunFolder run =
            begun
                ? RunFolder.resume(job.path(), configuration, session.out())
                : RunFolder.create(
                    job.path(), configuration, List.of(job.command()), session.out())) {
      finetuning.run(run, stop);
    }
  }

  private static Configuration<FinetuneConfig> configuration(Reproduction.Job job) {
    return FinetuneCommand.READER.read(null, null, job.settings());
  }
}
