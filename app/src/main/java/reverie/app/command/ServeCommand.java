// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import reverie.app.choose.ChoiceServer;
import reverie.app.choose.ImagePairs;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.PngImages;
import reverie.app.evaluate.Evaluation;
import reverie.app.finetune.Finetuning;
import reverie.app.finetune.RunPrompts;
import reverie.app.model.LoadedModel;
import reverie.app.model.ModelFolder;
import reverie.app.run.Progress;
import reverie.app.run.RunFolder;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Device;

/** Lets people choose between the images of a model, in a browser. */
@Command(
    name = "serve",
    description = "Let people choose between a model's images, in a browser.",
    footer = {
      "",
      "Draws pairs into RUN/preferences the first time, and writes every choice to"
          + " RUN/preferences/preferences.jsonl at once; started again it goes on.",
      "",
      "Examples:",
      "  ./reverie preferences serve runs/quickstart-20260131-120000 --pairs 64",
      "  ./reverie finetune --set objective=diffusion_dpo \\",
      "    --set preferences=runs/quickstart-20260131-120000/preferences/preferences.jsonl"
    })
final class ServeCommand implements Callable<Integer> {
  private static final String FOLDER = "preferences";

  private final Session session;
  @Mixin private SamplingOptions options;
  @Mixin private DeviceOption deviceOption;

  @Parameters(
      paramLabel = "RUN",
      description = "Folder of a run, of a model, or with a pairs.jsonl of your own.")
  private Path run;

  @Option(
      names = "--prompts",
      paramLabel = "FILE",
      description =
          "A text file with a prompt a line. Default: those that the run or the model was trained"
              + " with.")
  private Path prompts;

  @Option(
      names = "--pairs",
      paramLabel = "N",
      description = "Pairs to draw the first time. Default: ${DEFAULT-VALUE}")
  private int pairs = 64;

  @Option(
      names = "--host",
      paramLabel = "NAME",
      description =
          "Where to listen. Default: this machine alone. Elsewhere the address has a token.")
  private String host = "127.0.0.1";

  @Option(
      names = "--port",
      paramLabel = "N",
      description = "Default: ${DEFAULT-VALUE}; 0 is any that is free.")
  private int port = 8080;

  ServeCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() throws InterruptedException {
    options.sampling();
    SamplingOptions.require("--pairs", pairs, 1, 1_000_000);
    SamplingOptions.require("--port", port, 0, 65_535);
    ImagePairs shown = pairs();
    try (ChoiceServer server = new ChoiceServer(shown, host, port)) {
      session
          .out()
          .println(
              String.format(
                  Locale.ROOT,
                  "%d of %d pairs have a choice. Open %s and stop with Ctrl-C.",
                  server.done(),
                  shown.pairs().size(),
                  server.address()));
      session.out().flush();
      new CountDownLatch(1).await();
    }
    return ExitCode.OK;
  }

  private ImagePairs pairs() {
    for (Path folder : List.of(run, run.resolve(FOLDER))) {
      if (Files.exists(folder.resolve(ImagePairs.FILE))) {
        return ImagePairs.read(folder);
      }
    }
    for (Path folder : List.of(run.resolve(Finetuning.MODEL), run)) {
      if (ModelFolder.isOne(folder)) {
        options.model = folder.toString();
        return draw();
      }
    }
    throw new ConfigurationException(
        String.format(
            Locale.ROOT,
            Files.exists(run)
                ? "preferences serve: '%s' is no run, no model and has no pairs"
                : "preferences serve: '%s' does not exist",
            run),
        "name the folder of a finished run");
  }

  private ImagePairs draw() {
    Device device = deviceOption.open(session);
    try (LoadedModel model = options.open(session, device);
        Progress progress = Progress.start("drawing", "images", 2 * pairs)) {
      PromptSource source = prompts == null ? own(model) : PromptSource.fromFile(prompts);
      List<String> texts =
          Evaluation.choose(source.all(), pairs, options.seed).stream().map(Prompt::text).toList();
      List<String> twice = texts.stream().flatMap(text -> Stream.of(text, text)).toList();
      float[] pixels =
          model.sampler().draw(model.denoiser(), device, twice, options.seed, progress::advanceTo);
      return ImagePairs.write(
          run.resolve(FOLDER), texts, PngImages.fromModel(pixels, model.sampler().size()));
    }
  }

  /** Those that the run trained on; of a model alone, or pretrained, those that it knows. */
  private PromptSource own(LoadedModel model) {
    Path file = run.resolve(RunFolder.CONFIG);
    if (Files.isRegularFile(file)) {
      String stored = RunFolder.readConfig(run);
      if (FinetuneConfig.READER.knows(stored, file.toString())) {
        FinetuneConfig config =
            FinetuneConfig.READER.readStored(stored, file.toString(), List.of()).value();
        return new RunPrompts(config.prompts(), model.prompts(), model.isConditional())
            .split()
            .training();
      }
    }
    return PreferencesCommand.own(model);
  }
}
