// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import reverie.app.config.FinetuneConfig;
import reverie.app.evaluate.Evaluation;
import reverie.app.files.AtomicFile;
import reverie.app.files.JsonFile;
import reverie.app.model.ImageSampler;
import reverie.app.run.RunFolder;
import reverie.diffusion.Denoiser;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.NormalizedReward;
import reverie.rl.reward.NormalizedReward.Spread;
import reverie.rl.reward.Reward;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Finds the units of rewards that are normalized and whose mean and deviation were not given: those
 * of what the base model draws. They are measured once, before the first epoch, and kept in the
 * run's folder, so that the reward is the same function however often a run is resumed.
 */
final class RewardUnits {
  private static final String FILE = "reward-units.json";

  private RewardUnits() {}

  /**
   * Calibrates what is not calibrated.
   *
   * @param rewards what is optimised and what is watched
   * @param base the base model
   * @param training its prompts
   */
  static void settle(
      RunFolder run,
      FinetuneConfig config,
      Stream<Reward> rewards,
      Evaluation evaluation,
      Denoiser base,
      List<Prompt> training) {
    List<NormalizedReward> open =
        rewards
            .flatMap(reward -> NormalizedReward.within(reward).stream())
            .filter(reward -> reward.spread().isEmpty())
            .toList();
    if (open.isEmpty()) {
      return;
    }
    Path file = run.resolve(FILE);
    if (!Files.exists(file)) {
      measure(file, config, open, evaluation, base, training);
    }
    read(file, open);
    for (NormalizedReward reward : open) {
      Spread unit = reward.spread().orElseThrow();
      run.log()
          .say(
              String.format(
                  Locale.ROOT,
                  "%s of the base model: mean %.6g, deviation %.6g",
                  reward.raw().name(),
                  unit.mean(),
                  unit.deviation()));
    }
  }

  private static void measure(
      Path file,
      FinetuneConfig config,
      List<NormalizedReward> open,
      Evaluation evaluation,
      Denoiser base,
      List<Prompt> training) {
    List<Prompt> prompts =
        Evaluation.choose(training, config.evaluation().everySamples(), config.seed());
    List<String> texts = prompts.stream().map(Prompt::text).toList();
    ImageSampler sampler = evaluation.sampler();
    float[] pixels = sampler.draw(base, evaluation.device(), texts, config.seed(), _ -> {});
    Duration timeout = config.training().rewardTimeout();
    List<Map<String, Object>> units = new ArrayList<>();
    for (NormalizedReward reward : open) {
      Spread unit =
          Spread.of(
              Evaluation.score(
                  reward.raw(), timeout, prompts, pixels, sampler.size(), sampler.batchSize()));
      Map<String, Object> line = new LinkedHashMap<>();
      line.put("reward", reward.raw().name());
      line.put("mean", unit.mean());
      line.put("deviation", unit.deviation());
      units.add(line);
    }
    AtomicFile.writeText(
        file, new JsonMapper().writerWithDefaultPrettyPrinter().writeValueAsString(units) + "\n");
  }

  private static void read(Path file, List<NormalizedReward> open) {
    JsonNode units = JsonFile.read(file, "it belongs to this run; start a new one");
    if (units.size() != open.size()) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "%s: expected the units of %d rewards, got %d",
              file,
              open.size(),
              units.size()),
          "put the file back that the run wrote, or start a new run");
    }
    for (int i = 0; i < open.size(); i++) {
      JsonNode unit = units.get(i);
      open.get(i)
          .calibrate(
              new Spread(
                  unit.path("mean").asDouble(Double.NaN), unit.path("deviation").asDouble(0)));
    }
  }
}
