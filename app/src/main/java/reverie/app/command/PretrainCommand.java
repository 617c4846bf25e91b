// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import reverie.app.config.PretrainConfig;

/** Trains a base model. */
@Command(
    name = "pretrain",
    description = "Train a base model that draws icons, or your own images, from their names.",
    footer = {
      "",
      "Examples:",
      "  ./reverie pretrain",
      "  ./reverie pretrain --set data=my-images --set steps=5000",
      "  ./reverie pretrain --resume runs/pretrain-20260131-120000"
    })
final class PretrainCommand implements Callable<Integer> {
  private final Session session;
  @Mixin private ConfigurationOptions options;

  PretrainCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() {
    if (options.show) {
      session.out().print(PretrainConfig.READER.documentation());
      session.out().flush();
      return ExitCode.OK;
    }
    return Recipes.pretrain(session, options, PretrainConfig.READER);
  }
}
