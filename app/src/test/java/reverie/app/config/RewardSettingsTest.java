// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.app.reward.BuiltInReward;
import reverie.app.reward.CommandReward;
import reverie.app.reward.DescribeReward;
import reverie.app.reward.HttpReward;
import reverie.app.reward.OnnxReward;
import reverie.app.reward.RewardChoice;
import reverie.app.reward.Sum;

/** Rewards in configurations. */
class RewardSettingsTest {
  private static final ConfigurationReader<FinetuneConfig> FINETUNE = FinetuneConfig.READER;

  @TempDir private Path folder;

  @Test
  void aMissingRewardIsOneError() {
    for (String setting : List.of("reward.name=null", "reward.name=", "reward=null")) {
      ConfigurationException error =
          assertThrows(
              ConfigurationException.class,
              () -> FinetuneConfig.READER.read(null, null, List.of(setting)),
              setting);
      assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
      assertTrue(error.getMessage().contains("reward"), error::getMessage);
    }
  }

  @Test
  void aRewardIsANameOrAKindWithSettings() throws IOException {
    RewardChoice colours = RewardChoice.of(BuiltInReward.COLOURFULNESS);
    assertEquals(colours, reward("reward=colourfulness"));
    assertEquals(colours, reward("reward.name=colourfulness"));
    assertEquals(colours, reward("reward.command=[x]", "reward=Colourfulness"));
    var command = new CommandReward(List.of("python3", "x.py"));
    assertEquals(RewardChoice.of(command), reward("reward.command=[python3, x.py]"));
    assertEquals("x", reward("reward.command=[python3, x.py]").title());
    assertEquals(
        new RewardChoice(command, "mine"),
        reward("reward={command: [python3, x.py], label: mine}"));
    var http = new HttpReward.Options("http://127.0.0.1:8000/score", 8, 60, 4, 5, 1, "");
    assertEquals(http, reward("reward.http.url=http://127.0.0.1:8000/score").kind());
    assertEquals(
        2,
        ((HttpReward.Options)
                FINETUNE
                    .read(
                        null,
                        Files.writeString(
                            folder.resolve("my.yaml"),
                            "reward:\n  http:\n    url: http://127.0.0.1:8000/score\n"),
                        List.of("reward.http.parallel=2", "reward.label=mine"))
                    .value()
                    .reward()
                    .kind())
            .parallel());
    assertEquals(
        List.of(colours, new RewardChoice(command, "mine")),
        FINETUNE
            .read(
                null,
                null,
                List.of("watch=[colourfulness, {command: [python3, x.py], label: mine}]"))
            .value()
            .watch());
  }

  @Test
  void rewardsAreAdded() {
    RewardChoice sum =
        reward(
            "reward.sum=[{reward: colourfulness, normalize: true, mean: 3, deviation: 2}, {reward:"
                + " {http: {url: http://127.0.0.1/}, label: judge}, weight: -0.5}]");
    assertEquals("colourfulness + -0.5 judge", sum.title());
    Sum.Term first = ((Sum) sum.kind()).sum().getFirst();
    assertEquals(OptionalDouble.of(2), first.deviation());
    // A run is resumed from any folder.
    assertEquals(
        new OnnxReward.File(Path.of("judge.yaml").toAbsolutePath().toString()),
        reward("reward.onnx=judge.yaml").kind());
    var describe =
        (DescribeReward.Options)
            reward("reward.describe={url: http://x/v1, model: m, idf_prompts: p.txt}").kind();
    assertEquals(Path.of("p.txt").toAbsolutePath().toString(), describe.idfPrompts());
    assertEquals("minilm", describe.encoder());
    // What is asked of a server has limits of its own.
    assertEquals(Duration.ofDays(1), timeout("reward.http.url=http://127.0.0.1/"));
    assertEquals(Duration.ofSeconds(60), timeout("reward=colourfulness"));
    assertEquals(Duration.ofMillis(1500), timeout("reward.timeout_seconds=1.5"));
  }

  @Test
  void rewardsReadBackAsTheyWereWritten() {
    Configuration<FinetuneConfig> config =
        FINETUNE.read(
            null,
            null,
            List.of(
                "reward.sum=[{reward: colourfulness, normalize: true}, {reward: {command: [a]}}]",
                "watch=[recognised, {http: {url: http://127.0.0.1/}}]"));
    Configuration<FinetuneConfig> back =
        FINETUNE.readStored(config.yaml(), "config.yaml", List.of());
    assertEquals(config.value(), back.value());
    assertEquals(List.of(), back.differencesFrom(config.yaml()));
  }

  private static RewardChoice reward(String... settings) {
    return FINETUNE.read(null, null, List.of(settings)).value().reward();
  }

  private static Duration timeout(String setting) {
    return FINETUNE.read(null, null, List.of(setting)).value().training().rewardTimeout();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "reward.timeout_seconds=-1 | 'reward.timeout_seconds' must be above 0, but is |"
            + " timeout_seconds=",
        "reward.command=[null] | 'command' has an empty entry | ",
        "reward=beauty | 'reward.name' must be one of jpeg_compressibility, | ",
        "reward=[1] | 'reward' is no reward: [1] | name, command, http",
        "reward.name=3 | 'reward.name' must be one of | ",
        "reward.htp.url=x | unknown key 'reward.htp' | did you mean 'reward.http'?",
        "reward.http.ulr=x | unknown key 'reward.http.ulr' | did you mean 'reward.http.url'?",
        "reward.http=http://x | 'reward.http' is a group of settings (url, | reward.http.url=",
        "reward.http.url=x | 'x' is no address of a server | url: http",
        "reward.http.url= | 'reward.http.url' must be a text | ",
        "reward={http: {url: http://x/}, command: [a]} | to be both http and command | sum",
        "reward.http={url: http://x/, parallel: 0} | parallel 0 | parallel: 4",
        "reward.http={url: http://x/, parallel: many} | 'reward.http.parallel' must be a | 4",
        "reward.http={url: http://x/, timeout_seconds: .inf} | timeout_seconds Infinity | ",
        "reward.onnx= | 'reward.onnx' must be a text | ",
        "reward.onnx='' | 'onnx' names no file | aesthetic.yaml",
        "reward.describe.url=http://x/v1 | expected a model, a question | llava",
        "reward.describe={url: http://x/v1, model: m, baseline: x} | 'reward.describe.baseline'"
            + " must be a number | ",
        "reward.sum=[] | 'sum' has no terms | jpeg_compressibility",
        "reward.sum=3 | 'reward.sum' must be a list, but is 3 | ",
        "reward.sum=[colourfulness] | 'reward.sum' has a term without a reward | weight",
        "reward.sum=[{reward: beauty}] | must be one of jpeg_compressibility, | ",
        "reward.sum=[{reward: colourfulness, wait: 3}] | unknown key 'reward.sum.wait' | known",
        "reward.sum=[{reward: colourfulness, weight: .nan}] | colourfulness is NaN | finite",
        "reward.sum=[{reward: colourfulness, mean: 3}] | a mean or a deviation alone | both",
        "reward.sum=[{reward: colourfulness, mean: 3, deviation: 2}] | is not normalized | true",
        "reward.sum=[{reward: {http: {}, command: []}}] | both http and command | ",
        "watch=[{label: x}] | 'watch' is no reward | ",
        "watch=[beauty] | 'watch[0]' must be one of jpeg_compressibility, | ",
        "watch=[{command: []}] | 'command' names no program | ",
        "watch=[{mine: []}] | unknown key 'watch.mine' | known keys in 'watch': name, command",
      })
  void wrongSettingsAreNamed(String setting, String message, String hint) {
    ConfigurationReaderTest.assertRefused(setting, message, hint);
  }
}
