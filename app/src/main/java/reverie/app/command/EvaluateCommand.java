// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.apache.commons.math3.stat.StatUtils;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import reverie.app.config.ConfigurationException;
import reverie.app.data.Estimate;
import reverie.app.data.VarianceComponents;
import reverie.app.evaluate.Evaluation;
import reverie.app.files.AtomicFile;
import reverie.app.model.LoadedModel;
import reverie.app.run.Progress;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import tools.jackson.databind.json.JsonMapper;

/** Measures a model: its reward, and whether its icons are recognised. */
@Command(
    name = "evaluate",
    description = "Measure a model's reward, and whether its icons are recognised.",
    footer = {
      "",
      "Examples:",
      "  ./reverie evaluate",
      "  ./reverie evaluate --model runs/quickstart-20260131-120000/model --samples 500",
      "  ./reverie evaluate --repeats 16 --eta 0",
      "  ./reverie evaluate --prompt 'camera add' --samples 256",
      "  ./reverie evaluate --prompts my.txt --reward jpeg_incompressibility --json measured.json"
    })
final class EvaluateCommand implements Callable<Integer> {
  private final Session session;
  @Mixin private SamplingOptions options;
  @Mixin private DeviceOption deviceOption;
  @Mixin private RewardOption reward;

  @Option(
      names = "--prompts",
      paramLabel = "FILE",
      description =
          "A text file with a prompt a line. Default: the prompts that the model was trained with,"
              + " and those held out from training where they are known.")
  private Path file;

  @Option(
      names = "--samples",
      paramLabel = "N",
      description = "Images of each set of prompts. Default: ${DEFAULT-VALUE}")
  private int samples = 256;

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      description = "A prompt in place of sets of them; may be repeated.")
  private List<String> texts = new ArrayList<>();

  @Option(
      names = "--repeats",
      paramLabel = "N",
      description =
          "Images of each prompt. With 2 or more the variance of the reward within and between"
              + " prompts is reported too; at --eta 0 that within prompts is x_T's alone. Default:"
              + " ${DEFAULT-VALUE}")
  private int repeats = 1;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the numbers there too.")
  private Path json;

  EvaluateCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() {
    options.sampling();
    SamplingOptions.require("--samples", samples, 2, 1_000_000);
    Map<String, List<Prompt>> sets = new LinkedHashMap<>();
    if (!texts.isEmpty() && file != null) {
      throw new ConfigurationException(
          String.format(
              Locale.ROOT, "--prompt and --prompts %s: prompts come from one of the two", file),
          "add the prompts to the file");
    }
    SamplingOptions.require("--repeats", repeats, 1, samples);
    if (!texts.isEmpty()) {
      sets.put("prompts", PromptSource.of(texts).all());
    } else if (file != null) {
      sets.put("prompts", PromptSource.fromFile(file).all());
    }
    AtomicFile.prepare(json);
    Device device = deviceOption.open(session);
    Map<String, Object> numbers = new LinkedHashMap<>();
    numbers.put("reward", reward.choice().title());
    try (LoadedModel model = options.open(session, device);
        Reward scored = reward.open()) {
      boolean own = sets.isEmpty();
      if (own) {
        ownPrompts(model, sets);
      }
      model.prompts().requireFit(reward.choice().kind());
      Evaluation evaluation =
          new Evaluation(
              model.sampler(),
              device,
              scored,
              reward.timeout(),
              own ? model.prompts().recognition() : null,
              options.seed);
      sets.forEach((name, prompts) -> measure(name, prompts, evaluation, model, numbers));
    }
    if (json != null) {
      AtomicFile.writeText(
          json,
          new JsonMapper().writerWithDefaultPrettyPrinter().writeValueAsString(numbers) + "\n");
    }
    return ExitCode.OK;
  }

  /** The prompts that the model was trained with, and others that are known of it. */
  private static void ownPrompts(LoadedModel model, Map<String, List<Prompt>> sets) {
    if (!model.isConditional()) {
      sets.put("images", PromptSource.of(List.of("")).all());
      return;
    }
    if (model.prompts().training().isEmpty()) {
      throw new ConfigurationException(
          "evaluate: the model does not say which prompts it was trained with",
          "name some: --prompts FILE, or --prompt TEXT");
    }
    sets.put("training", PromptSource.of(model.prompts().training()).all());
    if (!model.prompts().heldOut().isEmpty()) {
      sets.put("heldout", PromptSource.of(model.prompts().heldOut()).all());
    }
  }

  private void measure(
      String name,
      List<Prompt> prompts,
      Evaluation evaluation,
      LoadedModel model,
      Map<String, Object> numbers) {
    int different = texts.isEmpty() ? Math.max(1, samples / repeats) : texts.size();
    int each = texts.isEmpty() ? repeats : Math.max(repeats, samples / texts.size());
    List<Prompt> chosen =
        Evaluation.choose(prompts, different, options.seed).stream()
            .flatMap(prompt -> Collections.nCopies(each, prompt).stream())
            .toList();
    Evaluation.Result result;
    try (Progress progress = Progress.start("drawing " + name, "images", chosen.size())) {
      result = evaluation.of(model.denoiser(), chosen, progress::advanceTo);
    }
    List<double[]> rewards =
        IntStream.range(0, different)
            .mapToObj(i -> Arrays.copyOfRange(result.rewards(), i * each, (i + 1) * each))
            .toList();
    // ImageSampler of one prompt are alike: the interval is over prompts where there are several.
    tell(
        name,
        "reward",
        each > 1 && different > 1
            ? Estimate.mean(rewards.stream().mapToDouble(StatUtils::mean).toArray())
            : result.reward(),
        numbers);
    result.shares().forEach((part, share) -> tell(name, part, share, numbers));
    if (each > 1) {
      VarianceComponents variance = VarianceComponents.of(rewards, options.seed);
      tell(name, "var_within", variance.within(), numbers);
      if (different > 1) {
        tell(name, "var_between", variance.between(), numbers);
        tell(name, "var_share", variance.share(), numbers);
      }
    }
  }

  private void tell(String set, String measure, Estimate estimate, Map<String, Object> numbers) {
    numbers.put(set + "_" + measure, estimate.toMap());
    session
        .out()
        .println(
            String.format(
                Locale.ROOT,
                "%-9s %-11s %9.4g  [%.4g, %.4g]  n = %d",
                set,
                measure,
                estimate.mean(),
                estimate.low(),
                estimate.high(),
                estimate.n()));
  }
}
