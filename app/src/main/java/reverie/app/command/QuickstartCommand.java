// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import reverie.app.finetune.Cluster;

/**
 * The main job with one command: fine-tunes the shipped model by DDPO and shows what came of it.
 */
@Command(
    name = "quickstart",
    description =
        "Teach a small model that draws icons to draw icons whose JPEG is smaller, in some minutes.",
    footer = {
      "",
      "The same as: ./reverie finetune --preset quickstart",
      "",
      "Examples:",
      "  ./reverie quickstart",
      "  ./reverie quickstart --out runs/first --set seed=7"
    })
final class QuickstartCommand implements Callable<Integer> {
  private final Session session;
  @Mixin private DeviceOption deviceOption;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Another value for a setting; may be repeated. See finetune --show-config.")
  private List<String> settings = new ArrayList<>();

  @Option(
      names = "--out",
      paramLabel = "FOLDER",
      description = "Folder of the run; new or empty. Default: runs/quickstart-DATE-TIME")
  private Path out;

  @Option(
      names = "--resume",
      paramLabel = "FOLDER",
      description = "Go on with the run in this folder from its last checkpoint.")
  private Path resume;

  QuickstartCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() {
    ConfigurationOptions options = new ConfigurationOptions();
    options.preset = resume == null ? "quickstart" : null;
    options.settings = settings;
    options.out = out;
    options.resume = resume;
    options.device = deviceOption;
    return Recipes.finetune(session, options, FinetuneCommand.READER, "quickstart", Cluster.LOCAL);
  }
}
