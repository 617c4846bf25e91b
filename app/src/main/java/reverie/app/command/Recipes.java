// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.nio.file.Path;
import reverie.app.config.Configuration;
import reverie.app.config.ConfigurationReader;
import reverie.app.config.FinetuneConfig;
import reverie.app.config.PretrainConfig;
import reverie.app.recipe.Finetuning;
import reverie.app.recipe.Pretraining;
import reverie.app.run.Interruption;
import reverie.app.run.RunFolder;
import reverie.tensor.Device;

/** Runs a recipe in its run folder, with Ctrl-C understood. */
final class Recipes {
  private Recipes() {}

  static int finetune(
      Session session,
      ConfigurationOptions options,
      ConfigurationReader<FinetuneConfig> reader,
      String name) {
    Configuration<FinetuneConfig> configuration = options.configuration(reader);
    Device device = options.device.open(session);
    try (RunFolder run = options.open(session, name, configuration);
        Interruption stop = Interruption.listen(System.err)) {
      Path model =
          new Finetuning(configuration.value(), run, session.encoder(), device, stop).run();
      session.out().println("draw with it: ./reverie sample --prompt camera --model " + model);
      return ExitCode.OK;
    }
  }

  static int pretrain(
      Session session, ConfigurationOptions options, ConfigurationReader<PretrainConfig> reader) {
    Configuration<PretrainConfig> configuration = options.configuration(reader);
    Device device = options.device.open(session);
    try (RunFolder run = options.open(session, "pretrain", configuration);
        Interruption stop = Interruption.listen(System.err)) {
      Path model =
          new Pretraining(configuration.value(), run, session.encoder(), device, stop).run();
      session.out().println("draw with it: ./reverie sample --prompt camera --model " + model);
      return ExitCode.OK;
    }
  }
}
