// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import reverie.app.config.ConfigurationReader;
import reverie.app.config.FinetuneConfig;
import reverie.app.finetune.Cluster;

/** Fine-tunes a model by reward. */
@Command(
    name = "finetune",
    description = "Fine-tune a model by reward.",
    footer = {
      "",
      "Examples:",
      "  ./reverie finetune --show-config > my.yaml",
      "  ./reverie finetune --config my.yaml --set seed=7",
      "  ./reverie finetune --set reward.name=jpeg_incompressibility --set epochs=20",
      "  ./reverie finetune --resume runs/finetune-20260131-120000"
    })
final class FinetuneCommand implements Callable<Integer> {
  static final ConfigurationReader<FinetuneConfig> READER = FinetuneConfig.READER;

  private final Session session;
  @Mixin private ConfigurationOptions options;

  @Option(
      names = "--spark",
      paramLabel = "URL",
      description =
          "Draw, score, differentiate and measure on the Spark cluster with this master, with the"
              + " same bits; at most update.shards machines share the work. See docs/scaling.md.")
  private String spark;

  @Option(
      names = "--spark-conf",
      paramLabel = "KEY=VALUE",
      description = "A setting of Spark; may be repeated.")
  private Map<String, String> sparkSettings = new LinkedHashMap<>();

  @Option(
      names = "--preset",
      paramLabel = "NAME",
      completionCandidates = Presets.class,
      description = "Begin with other settings than the defaults: ${COMPLETION-CANDIDATES}.")
  private String preset;

  FinetuneCommand(Session session) {
    this.session = session;
  }

  /** Those there are, for the help. */
  static final class Presets implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return READER.presets().iterator();
    }
  }

  @Override
  public Integer call() {
    if (options.show) {
      session.out().print(READER.documentation());
      session.out().flush();
      return ExitCode.OK;
    }
    options.preset = preset;
    Cluster cluster = new Cluster(spark, sparkSettings);
    return Recipes.finetune(session, options, READER, "finetune", cluster);
  }
}
