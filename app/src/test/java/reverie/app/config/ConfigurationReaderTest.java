// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeSet;
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
import reverie.rl.learn.Setting;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.Dpok;
import reverie.rl.objective.Objective;
import reverie.rl.objective.Objectives;
import reverie.rl.objective.Ppod;
import reverie.rl.objective.Prdp;
import reverie.rl.objective.RewardWeightedRegression;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

class ConfigurationReaderTest {
  private static final ConfigurationReader<FinetuneConfig> FINETUNE = FinetuneConfig.READER;
  private static final ConfigurationReader<PretrainConfig> PRETRAIN =
      new ConfigurationReader<>("pretrain", PretrainConfig.class, List.of());

  @TempDir Path folder;

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
  void defaultsAreComplete() {
    assertTrue(FINETUNE.read(null, null, List.of()).value().epochs() > 0);
    assertEquals(
        List.of(32, 64), PRETRAIN.read(null, null, List.of()).value().model().blockOutChannels());
  }

  @Test
  void everyPresetIsValid() {
    assertEquals(
        new DdpoImportanceSampled(1e-3, 5),
        FINETUNE.read("quickstart", null, List.of()).value().objective());
  }

  @Test
  void laterLayersWin() throws IOException {
    Path file = write("epochs: 3\nsampling:\n  steps: 7\n  eta: 0.5\n");
    FinetuneConfig config =
        FINETUNE
            .read(
                "quickstart",
                file,
                List.of("sampling.steps=9", "optimizer.learning_rate=1e-4", "objective=RWR"))
            .value();
    assertEquals(3, config.epochs());
    assertEquals(9, config.sampling().steps());
    assertEquals(Optional.of(0.5), config.sampling().eta());
    assertEquals(1e-4, config.training().learningRate());
    assertEquals(new RewardWeightedRegression(0.2, true, 4), config.objective());
  }

  @Test
  void mapsOfTheUsersOwnKeysAreReplacedWhole() throws IOException {
    Path file = write("prompts:\n  slots:\n    animal: [cat, dog]\n");
    assertEquals(
        Map.of("animal", List.of("cat", "dog")),
        FINETUNE.read(null, file, List.of()).value().prompts().slots());
    assertEquals(
        Map.of("colour", List.of("red")),
        FINETUNE
            .read(null, file, List.of("prompts.slots={colour: [red]}"))
            .value()
            .prompts()
            .slots());
  }

  @Test
  void anObjectiveIsANameOrAGroup() throws IOException {
    assertEquals(new Prdp(3e-5, 1e-4, Prdp.Time.MEAN), objective("objective=prdp"));
    assertEquals(
        new Prdp(1, 1e-4, Prdp.Time.SUM), objective("objective={prdp: {beta: 1, time: sum}}"));
    assertEquals(
        new Prdp(2, 1e-4, Prdp.Time.SUM),
        objective("objective.prdp.beta=2", "objective=prdp", "objective.prdp.time=sum"));
    assertEquals(
        new Ppod(Ppod.Link.IPO, Ppod.Span.STEP, 0.1, 0.1),
        objective("objective=prdp", "objective.ppod.link=ipo"));
    assertEquals(64, ((Dpok) objective("objective.dpok.value.width=64")).value().width());
    assertEquals(
        new Prdp(3, 1e-4, Prdp.Time.MEAN),
        FINETUNE
            .read("quickstart", write("objective:\n  prdp:\n    beta: 3\n"), List.of())
            .value()
            .objective());
  }

  @Test
  void emptySettingsOfUpdatesAreTheObjectives() {
    assertEquals(0.04, training("objective=grpo").klWeight());
    assertEquals(0.01, training("objective=dpok").klWeight());
    assertEquals(0, training("objective=ddpo_is").klWeight());
    assertEquals(0.5, training("objective=grpo", "update.kl_to_base=0.5").klWeight());
    assertEquals(
        new DdpoImportanceSampled(0.2, 5), objective("objective=ddpo_is", "update.clip_range=0.2"));
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
                        write("reward:\n  http:\n    url: http://127.0.0.1:8000/score\n"),
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
    assertEquals(Duration.ofDays(1), training("reward.http.url=http://127.0.0.1/").rewardTimeout());
    assertEquals(Duration.ofSeconds(60), training("reward=colourfulness").rewardTimeout());
    assertEquals(Duration.ofMillis(1500), training("reward.timeout_seconds=1.5").rewardTimeout());
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

  /** What is forgotten in one of the places where an objective stands fails here. */
  @Test
  void everyObjectiveHasDefaultsAndAPage() {
    for (Objective objective : Objectives.ALL) {
      String name = objective.name();
      Objective bound = objective("objective=" + name);
      assertEquals(objective.getClass(), bound.getClass());
      assertEquals(name, bound.name());
    }
  }

  /** Every key is read by somebody: a component of a record, or a trainer's setting. */
  @Test
  void everyKeyOfTheDefaultsIsRead() {
    Set<String> read = new TreeSet<>(Set.of("update.clip_range"));
    read(FinetuneConfig.class, "", read);
    for (RecordComponent component : TrainerSettings.class.getRecordComponents()) {
      read.add(component.getAnnotation(Setting.class).value());
    }
    Set<String> written = new TreeSet<>();
    keys(ConfigurationReader.YAML.readTree(FINETUNE.documentation()), "", written);
    written.removeIf(
        key -> key.startsWith("objective") || key.startsWith("reward.") || read.contains(key));
    written.removeIf(key -> read.stream().anyMatch(group -> key.startsWith(group + ".")));
    assertEquals(Set.of(), written);
  }

  private static void read(Class<?> type, String path, Set<String> read) {
    for (RecordComponent component : type.getRecordComponents()) {
      String key = path + RangeCheck.snakeCase(component.getName());
      if (component.getType().isRecord()) {
        read(component.getType(), key + ".", read);
      } else {
        read.add(key);
      }
    }
  }

  private static void keys(JsonNode node, String path, Set<String> keys) {
    if (node instanceof ObjectNode group && !group.isEmpty()) {
      group
          .properties()
          .forEach(entry ->
              keys(
                  entry.getValue(),
                  path.isEmpty() ? entry.getKey() : path + "." + entry.getKey(),
                  keys));
    } else {
      keys.add(path);
    }
  }

  private static Objective objective(String... settings) {
    return FINETUNE.read(null, null, List.of(settings)).value().objective();
  }

  private static TrainerSettings training(String... settings) {
    return FINETUNE.read(null, null, List.of(settings)).value().training();
  }

  @Test
  void anEmptyFileChangesNothing() throws IOException {
    assertEquals(
        FINETUNE.read(null, null, List.of()).value(),
        FINETUNE.read(null, write("# nothing\n"), List.of()).value());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "epoch=3 | unknown key 'epoch' | did you mean 'epochs'?",
        "optimizer.learningRate=1 | unknown key 'optimizer.learningRate' | did you mean"
            + " 'optimizer.learning_rate'?",
        "sampling.setps=1 | unknown key 'sampling.setps' | did you mean 'sampling.steps'?",
        "xylophone=1 | unknown key 'xylophone' | known keys: model, weights, objective",
        "sampling=4 | 'sampling' is a group of settings (steps, | --set sampling.steps=",
        "sampling.steps=many | 'sampling.steps' must be a whole number, but is 'many' | --set"
            + " sampling.steps=4",
        "sampling.steps=2.5 | 'sampling.steps' must be a whole number | --set sampling.steps=4",
        "sampling.steps= | 'sampling.steps' must be a whole number | --set sampling.steps=4",
        "sampling.steps=0 | 'sampling.steps' must be from 1 to 1000, but is 0 | --set"
            + " sampling.steps=1",
        "sampling.eta=-0.5 | 'sampling.eta' must be from 0 to 1, but is -0.5 | --set"
            + " sampling.eta=0",
        "reward.timeout_seconds=-1 | 'reward.timeout_seconds' must be above 0, but is |"
            + " timeout_seconds=",
        "optimizer.learning_rate=0 | 'optimizer.learning_rate' must be above 0, but is 0.0 | --set"
            + " optimizer.learning_rate=",
        "optimizer.beta1=1 | adamw: expected 0 ≤ β < 1 | ",
        "ema.decay=1 | 'ema.decay' must be in [0, 1), but is 1.0 | --set ema.decay=",
        "update.batch_size=0 | 'update.batch_size' must be of at least 1, but is 0 | --set"
            + " update.batch_size=",
        "update.batch_size=many | 'update.batch_size' must be a whole number, but is 'many' | --set"
            + " update.batch_size=4",
        "objective.prdp.beta=-1 | prdp: expected a positive beta | ",
        "objective.prdp.bta=1 | unknown key 'objective.prdp.bta' | did you mean"
            + " 'objective.prdp.beta'?",
        "objective.prdp=1 | 'objective.prdp' is a group of settings | objective=prdp",
        "objective={prdp: {}, ppod: {}} | 'objective' must be one of | ",
        "objective= | 'objective' must be one of | ",
        "evaluation.samples=2147483647 | 'evaluation.samples' must be from 2 to 1000000 | ",
        "prompts.per_epoch=2147483647 | 'prompts.per_epoch' must be of fewer than 10 million"
            + " samples | ",
        "lora.rank=2147483647 | 'lora.rank' must be from 0 to 65536 | ",
        "reward.command=[null] | 'command' has an empty entry | ",
        "lora.targets=[null] | 'lora.targets' has an empty entry | ",
        "seed=9999999999999999999 | must be a whole number of at most 64 bits | --set seed=",
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
        "prompts.slots={animal: [cat, null]} | 'prompts.slots.animal' has an empty entry | ",
        "watch=[beauty] | 'watch[0]' must be one of jpeg_compressibility, | ",
        "watch=[{command: []}] | 'command' names no program | ",
        "watch=[{mine: []}] | unknown key 'watch.mine' | known keys in 'watch': name, command",
        "epochs=-1 | 'epochs' must be from 0 to 1000000, but is -1 | --set epochs=0",
        "update.step_fraction=0 | must be in (0, 1], but is 0.0 | --set update.step_fraction=",
        "sampling.guidance=.nan | 'sampling.guidance' must be finite | finite number",
        "objective=dppo_is | 'objective' must be one of ddpo_sf, ddpo_is, grpo, | did you"
            + " mean 'ddpo_is'?",
        "objective=[1, 2] | 'objective' must be | ",
        "epochs | expected key.path=value | for example",
        "epochs=[1 | the value is no YAML | quotes",
      })
  void wrongSettingsAreNamed(String setting, String message, String hint) {
    ConfigurationException error =
        assertThrows(
            ConfigurationException.class, () -> FINETUNE.read(null, null, List.of(setting)));
    String[] lines = error.getMessage().split("\nhint: ");
    assertTrue(lines[0].contains(message), error::getMessage);
    assertTrue(hint == null || lines[1].contains(hint), error::getMessage);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "\"epochs: 3\n  x: [\" | this is no YAML in line",
        "\"- 1\n- 2\" | expected settings of the form 'key: value'",
        "\"epochs: 1\nepochs: 2\" | epochs",
        "\"sampling:\n  stepps: 2\" | unknown key 'sampling.stepps'",
      })
  void wrongFilesAreNamed(String text, String message) throws IOException {
    Path file = write(text);
    ConfigurationException error =
        assertThrows(ConfigurationException.class, () -> FINETUNE.read(null, file, List.of()));
    assertTrue(error.getMessage().startsWith(file.toString()), error::getMessage);
    assertTrue(error.getMessage().contains(message), error::getMessage);
  }

  @Test
  void theDocumentationIsItselfAConfiguration() throws IOException {
    assertEquals(
        FINETUNE.read(null, null, List.of()).value(),
        FINETUNE.read(null, write(FINETUNE.documentation()), List.of()).value());
  }

  @Test
  void missingFilesAndPresetsAreNamed() {
    assertTrue(
        assertThrows(
                ConfigurationException.class,
                () -> FINETUNE.read(null, folder.resolve("absent.yaml"), List.of()))
            .getMessage()
            .contains("absent.yaml: there is no such file"));
    assertTrue(
        assertThrows(
                ConfigurationException.class, () -> FINETUNE.read("quikstart", null, List.of()))
            .getMessage()
            .contains("did you mean 'quickstart'?"));
  }

  @Test
  void whatIsWrittenReadsBackTheSame() {
    Configuration<FinetuneConfig> config =
        FINETUNE.read(
            "quickstart", null, List.of("seed=9007199254740993", "optimizer.epsilon=1e-8"));
    Configuration<FinetuneConfig> back =
        FINETUNE.readStored(config.yaml(), "config.yaml", List.of());
    assertEquals(config.value(), back.value());
    assertEquals(9007199254740993L, back.value().seed());
    assertEquals(List.of(), back.differencesFrom(config.yaml()));
  }

  @Test
  void differencesAreListedByKey() {
    List<String> started = List.of("seed=1", "optimizer.learning_rate=2e-4");
    List<String> now = List.of("seed=2", "optimizer.learning_rate=0.1");
    String stored = FINETUNE.read(null, null, started).yaml();
    assertEquals(
        List.of("optimizer.learning_rate: 2.0E-4 → 0.1", "seed: 1 → 2"),
        FINETUNE.read(null, null, now).differencesFrom(stored));
  }

  private Path write(String text) throws IOException {
    return Files.writeString(folder.resolve("my.yaml"), text);
  }
}
