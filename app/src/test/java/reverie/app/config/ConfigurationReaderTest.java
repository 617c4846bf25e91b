// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.app.data.ImageSize;
import reverie.diffusion.SchedulerConfig;
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
  private static final ConfigurationReader<PretrainConfig> PRETRAIN = PretrainConfig.READER;

  @TempDir Path folder;

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
    assertEquals(0.04, training("objective=grpo_guard").klWeight());
    assertEquals(0.01, training("objective=dpok").klWeight());
    assertEquals(0.01, training("objective=dpok_published").klWeight());
    assertEquals(0, training("objective=ddpo_is").klWeight());
    assertEquals(0.5, training("objective=grpo", "update.kl_to_base=0.5").klWeight());
    assertEquals(
        new DdpoImportanceSampled(0.2, 5), objective("objective=ddpo_is", "update.clip_range=0.2"));
  }

  /** But for how fast and on how much it learns, a run is by default what the library's is. */
  @Test
  void defaultsOfTrainingAreThoseOfTheLibrary() {
    TrainerSettings ours = training();
    TrainerSettings library = TrainerSettings.defaults();
    assertEquals(library.optimizer(), ours.optimizer());
    assertEquals(library.gradientClip(), ours.gradientClip());
    assertEquals(library.updatesPerEpoch(), ours.updatesPerEpoch());
    assertEquals(library.passes(), ours.passes());
    assertEquals(library.stepFraction(), ours.stepFraction());
    assertEquals(library.ratioTolerance(), ours.ratioTolerance());
    assertEquals(library.window(), ours.window());
  }

  /** What is forgotten in one of the places where an objective stands fails here. */
  @Test
  void everyObjectiveHasDefaultsAndAPage() {
    List<String> others = new ArrayList<>();
    for (Objective objective : Objectives.ALL) {
      String name = objective.name();
      Objective bound = objective("objective=" + name);
      assertEquals(objective.getClass(), bound.getClass());
      assertEquals(name, bound.name());
      if (!objective.equals(bound)) {
        others.add(name);
      }
    }
    // Of these the application takes wider trust regions, of the last a larger weight of the KL.
    assertEquals(List.of("ddpo_is", "grpo", "dpok", "dpok_published", "prdp"), others);
  }

  @ParameterizedTest
  @CsvSource({
    "ddim, false, 1",
    "ddpm, false, 1",
    "dpm_solver, false, 0",
    "pndm, false, 0",
    "flow_sde, true, 0.7",
    "dance_sde, true, 0.3",
    "cps, true, 0.7",
    "ode, true, 0"
  })
  void schedulersHaveTheirUsualNoise(String scheduler, boolean flow, double eta) {
    SchedulerConfig config = flow ? SchedulerConfig.flow(1) : SchedulerConfig.stableDiffusion();
    String setting = "sampling.scheduler=" + scheduler;
    assertEquals(eta, value(setting).sampling().process(config).eta());
    assertEquals(eta, value(setting, "sampling.eta=" + eta).sampling().process(config).eta());
  }

  @Test
  void imagesHaveSizes() {
    assertEquals(new ImageSize(768, 512), value("sampling.size=768x512").sampling().size());
    assertEquals(ImageSize.square(512), value("sampling.size=512").sampling().size());
    ConfigurationException e =
        assertThrows(ConfigurationException.class, () -> value("sampling.size=[512, 512]"));
    assertTrue(e.getMessage().contains("got '[512,512]'"), e::getMessage);
    assertTrue(e.getMessage().contains("for example 512, or 768x512"), e::getMessage);
    assertThrows(ConfigurationException.class, () -> value("sampling.size=0x512"));
  }

  /** A run is resumed from any folder. */
  @Test
  void pathsAreStoredWhole() {
    Path here = Path.of("").toAbsolutePath();
    String yaml =
        FINETUNE
            .read(
                null,
                null,
                List.of(
                    "model=a/../model-folder",
                    "prompts.source=some.txt",
                    "preferences=pairs.jsonl",
                    "reward.onnx=judge.yaml"))
            .yaml();
    for (String file : List.of("model-folder", "some.txt", "pairs.jsonl", "judge.yaml")) {
      assertTrue(yaml.contains(": " + here.resolve(file)), yaml);
    }
    for (String known : List.of("icons", "icons-flow", "nouns")) {
      assertEquals(known, value("model=" + known).model());
    }
    for (String known : List.of("icons", "model", "animals", "animal_activities")) {
      assertEquals(known, value("prompts.source=" + known).prompts().source());
    }
  }

  private static FinetuneConfig value(String... settings) {
    return FINETUNE.read(null, null, List.of(settings)).value();
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
      if (component.getType().isRecord() && component.getType() != ImageSize.class) {
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
        "optimizer.learning_rate=0 | 'optimizer.learning_rate' must be above 0, but is 0.0 | --set"
            + " optimizer.learning_rate=",
        "model=\"a\\u0000b\" | 'model' is no path: | odd characters",
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
        "lora.targets=[null] | 'lora.targets' has an empty entry | ",
        "seed=9999999999999999999 | must be a whole number of at most 64 bits | --set seed=",
        "prompts.slots={animal: [cat, null]} | 'prompts.slots.animal' has an empty entry | ",
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
    assertRefused(setting, message, hint);
  }

  /** A setting that is refused with this, and this as advice if any. */
  static void assertRefused(String setting, String message, String hint) {
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

  /** An internal error before: no memory is large enough. */
  @Test
  void aFileWithoutAnEndIsRefused() {
    Path endless = Path.of("/dev/zero");
    assumeTrue(Files.exists(endless), "no such device here");
    ConfigurationException error =
        assertThrows(ConfigurationException.class, () -> FINETUNE.read(null, endless, List.of()));
    assertTrue(
        error
            .getMessage()
            .startsWith("--config /dev/zero: it cannot be read: expected at most 33554432"),
        error::getMessage);
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
