// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import reverie.app.config.ConfigurationException;
import reverie.app.data.ImageFolder;
import reverie.app.data.PreferenceFile;
import reverie.app.evaluate.Evaluation;
import reverie.app.evaluate.Preferences;
import reverie.app.model.LoadedModel;
import reverie.app.run.Progress;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;

/**
 * Draws pairs of images and lets a reward choose, so that learning from preferences can be tried.
 */
@Command(
    name = "preferences",
    description = "Draw pairs of images, or take given ones, and let a reward choose one of each.",
    footer = {
      "",
      "Writes preferences.jsonl and a folder of images, the form in which people's choices are"
          + " read:",
      "  {\"prompt\": \"a red cat\", \"images\": [\"a.png\", \"b.png\"], \"choice\": 0}",
      "",
      "People choose in a browser: ./reverie preferences serve RUN",
      "",
      "Examples:",
      "  ./reverie preferences --pairs 512 --out my-preferences",
      "  ./reverie preferences --images my-images --out my-preferences",
      "  ./reverie finetune --set objective=diffusion_dpo \\",
      "    --set preferences=my-preferences/preferences.jsonl"
    })
final class PreferencesCommand implements Callable<Integer> {
  private static final String FILE = "preferences.jsonl";

  private final Session session;
  @Mixin private SamplingOptions options;
  @Mixin private DeviceOption deviceOption;
  @Mixin private RewardOption reward;

  @Option(
      names = "--prompts",
      paramLabel = "FILE",
      description =
          "A text file with a prompt a line. Default: those that the model was trained with.")
  private Path file;

  @Option(
      names = "--images",
      paramLabel = "FOLDER",
      description =
          "Judge these images instead of drawing some: a folder with metadata.jsonl that gives"
              + " the same text to two images or more.")
  private Path images;

  @Option(
      names = "--pairs",
      paramLabel = "N",
      description = "Pairs to draw; those of equal reward are left out. Default: ${DEFAULT-VALUE}")
  private int pairs = 256;

  @Option(
      names = "--out",
      paramLabel = "FOLDER",
      description = "Where to write. Default: ${DEFAULT-VALUE}")
  private Path out = Path.of("preferences");

  PreferencesCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() {
    options.sampling();
    SamplingOptions.require("--pairs", pairs, 1, 1_000_000);
    Path target = out.resolve(FILE);
    if (Files.exists(target)) {
      throw new ConfigurationException(
          String.format(Locale.ROOT, "preferences: '%s' exists already", target),
          "name a new folder with --out");
    }
    List<PreferenceFile.Judged> judged = images == null ? draw() : judge();
    if (judged.isEmpty()) {
      throw new ConfigurationException(
          "preferences: the reward found both images of every pair equal",
          "take more images, or choose another --reward");
    }
    PreferenceFile.write(target, judged);
    session.out().println(String.format(Locale.ROOT, "%s: %d pairs", target, judged.size()));
    return ExitCode.OK;
  }

  private List<PreferenceFile.Judged> judge() {
    try (Reward scored = reward.open()) {
      return Preferences.of(ImageFolder.read(images), scored, reward.timeout(), options.batch);
    }
  }

  static PromptSource own(LoadedModel model) {
    if (!model.isConditional()) {
      return PromptSource.of("");
    }
    if (model.prompts().training().isEmpty()) {
      throw new ConfigurationException(
          "preferences: the model does not say which prompts it was trained with",
          "name some: --prompts FILE");
    }
    return PromptSource.of(model.prompts().training());
  }

  private List<PreferenceFile.Judged> draw() {
    Device device = deviceOption.open(session);
    try (LoadedModel model = options.open(session, device);
        Reward scored = reward.open();
        Progress progress = Progress.start("drawing", "images", 2 * pairs)) {
      PromptSource prompts = file == null ? own(model) : PromptSource.fromFile(file);
      model.prompts().requireFit(reward.choice().kind());
      Evaluation evaluation =
          new Evaluation(model.sampler(), device, scored, reward.timeout(), null, options.seed);
      return Preferences.draw(
          evaluation,
          model.denoiser(),
          Evaluation.choose(prompts.all(), pairs, options.seed),
          progress::advanceTo);
    }
  }
}
