// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.nio.file.Path;
import reverie.app.config.Configuration;
import reverie.app.config.ConfigurationReader;
import reverie.app.config.FinetuneConfig;
import reverie.app.config.PretrainConfig;
import reverie.app.finetune.Cluster;
import reverie.app.finetune.Finetuning;
import reverie.app.pretrain.Pretraining;
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
      String name,
      Cluster cluster) {
    Configuration<FinetuneConfig> configuration = options.configuration(reader);
    Device device = options.device.open(session);
    // What cannot work is said before there is a folder.
    try (Finetuning finetuning = new Finetuning(configuration, cluster, session.encoder(), device);
        RunFolder run = options.open(session, name, configuration);
        Interruption stop = Interruption.listen(System.err)) {
      suggest(session, finetuning.example(), finetuning.run(run, stop));
      return ExitCode.OK;
    }
  }

  /** How to draw with a model, by a prompt that it knows. */
  private static void suggest(Session session, String prompt, Path model) {
    session
        .out()
        .println(
            "draw with it: ./reverie sample "
                + (prompt.isEmpty() ? "" : "--prompt " + Session.quoted(prompt) + " ")
                + "--model "
                + Session.quoted(model.toString()));
  }

  static int pretrain(
      Session session, ConfigurationOptions options, ConfigurationReader<PretrainConfig> reader) {
    Configuration<PretrainConfig> configuration = options.configuration(reader);
    Device device = options.device.open(session);
    try (Pretraining pretraining =
            new Pretraining(configuration.value(), session.encoder(), device);
        RunFolder run = options.open(session, "pretrain", configuration);
        Interruption stop = Interruption.listen(System.err)) {
      Path model = pretraining.run(run, stop);
      suggest(session, pretraining.example(), model);
      return ExitCode.OK;
    }
  }
}
