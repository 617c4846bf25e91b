// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import reverie.app.config.Configuration;
import reverie.app.config.ConfigurationException;
import reverie.app.config.ConfigurationReader;
import reverie.app.config.FinetuneConfig;
import reverie.app.config.PretrainConfig;
import reverie.app.run.RunFolder;

/** The options of every command that makes a run. */
final class ConfigurationOptions {
  private static final List<ConfigurationReader<?>> READERS =
      List.of(PretrainConfig.READER, FinetuneConfig.READER);

  /** Of the commands that have presets; null for none. */
  String preset;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "Settings in YAML, on top of the defaults.")
  Path file;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "A single setting, on top of all; may be repeated. Example: --set seed=7")
  List<String> settings = new ArrayList<>();

  @Option(
      names = "--out",
      paramLabel = "FOLDER",
      description = "Folder of the run; new or empty. Default: runs/COMMAND-DATE-TIME")
  Path out;

  @Option(
      names = "--resume",
      paramLabel = "FOLDER",
      description = "Go on with the run in this folder from its last checkpoint.")
  Path resume;

  @Option(
      names = "--show-config",
      description = "Print every setting with its meaning and default, and do nothing else.")
  boolean show;

  @Mixin DeviceOption device = new DeviceOption();

  /** The settings asked for; those of the run when one is resumed and no others are named. */
  <T extends Record> Configuration<T> configuration(ConfigurationReader<T> reader) {
    if (resume != null && out != null) {
      throw new ConfigurationException(
          String.format(
              Locale.ROOT, "--out %s and --resume %s: a run is either new or resumed", out, resume),
          "give one of the two");
    }
    if (resume != null) {
      String stored = RunFolder.readConfig(resume);
      String place = resume.resolve(RunFolder.CONFIG).toString();
      refuseRunsOfOthers(reader, stored, place);
      if (preset == null && file == null) {
        return reader.readStored(stored, place, settings);
      }
    }
    return reader.read(preset, file, settings);
  }

  /** Says which command goes on with a run that this one did not make. */
  private void refuseRunsOfOthers(ConfigurationReader<?> reader, String stored, String place) {
    if (reader.knows(stored, place)) {
      return;
    }
    for (ConfigurationReader<?> other : READERS) {
      if (other.knows(stored, place)) {
        throw new ConfigurationException(
            String.format(
                Locale.ROOT,
                "resume %s: this is a run of %s, not of %s",
                resume,
                other.name(),
                reader.name()),
            String.format(
                Locale.ROOT,
                "go on with it by ./reverie %s --resume %s",
                other.name(),
                Session.quoted(resume.toString())));
      }
    }
  }

  /** The run's folder, new or resumed. */
  RunFolder open(Session session, String name, Configuration<?> configuration) {
    RunFolder run;
    if (resume != null) {
      run = RunFolder.resume(resume, configuration, session.out());
    } else {
      Path path = out != null ? out : RunFolder.defaultPath(name, Clock.systemDefaultZone());
      run = RunFolder.create(path, configuration, session.command(), session.out());
    }
    session.opened(run);
    return run;
  }
}
