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

  private static final String MEAN = "mean";
  private static final String DEVIATION = "deviation";

  private RewardUnits() {}

  /**
   * Calibrates what is not calibrated.
   *
   * @param rewards what is optimised and what is watched
   * @param base the base model
   * @param training its prompts
   * @return the units, which the rest of the run depends on; empty if none had to be found
   */
  static Map<String, String> settle(
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
      return Map.of();
    }
    Path file = run.resolve(FILE);
    if (!Files.exists(file)) {
      measure(file, config, open, evaluation, base, training);
    }
    read(file, open);
    List<String> units = new ArrayList<>();
    for (NormalizedReward reward : open) {
      Spread unit = reward.spread().orElseThrow();
      units.add(reward.raw().name() + " " + unit.mean() + " " + unit.deviation());
      run.log()
          .say(
              String.format(
                  Locale.ROOT,
                  "%s of the base model: mean %.6g, deviation %.6g",
                  reward.raw().name(),
                  unit.mean(),
                  unit.deviation()));
    }
    return Map.of("reward_units", String.join(", ", units));
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
      line.put(MEAN, unit.mean());
      line.put(DEVIATION, unit.deviation());
      units.add(line);
    }
    AtomicFile.writeText(
        file, new JsonMapper().writerWithDefaultPrettyPrinter().writeValueAsString(units) + "\n");
  }

  private static void read(Path file, List<NormalizedReward> open) {
    String hint = "put the file back that the run wrote, or start a new run";
    JsonNode units = JsonFile.read(file, hint);
    if (!units.isArray()
        || units.size() != open.size()
        || !units.valueStream().allMatch(RewardUnits::isSound)) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "read %s: expected a mean, and a deviation above 0, of %d rewards, got %s",
              file,
              open.size(),
              ReverieException.shown(units)),
          hint);
    }
    for (int i = 0; i < open.size(); i++) {
      JsonNode unit = units.get(i);
      open.get(i)
          .calibrate(new Spread(unit.path(MEAN).doubleValue(), unit.path(DEVIATION).doubleValue()));
    }
  }

  private static boolean isSound(JsonNode unit) {
    return unit.path(MEAN).isNumber()
        && unit.path(DEVIATION).isNumber()
        && Double.isFinite(unit.path(MEAN).doubleValue())
        && Double.isFinite(unit.path(DEVIATION).doubleValue())
        && unit.path(DEVIATION).doubleValue() > 0;
  }
}
