// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConfigurationReaderTest {
  private static final ConfigurationReader<FinetuneConfig> FINETUNE =
      new ConfigurationReader<>("finetune", FinetuneConfig.class, List.of("quickstart"));
  private static final ConfigurationReader<PretrainConfig> PRETRAIN =
      new ConfigurationReader<>("pretrain", PretrainConfig.class, List.of());

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
        FinetuneConfig.Objective.DDPO_IS,
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
    assertEquals(0.5, config.sampling().eta());
    assertEquals(1e-4, config.optimizer().learningRate());
    assertEquals(FinetuneConfig.Objective.RWR, config.objective());
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
        "optimizer.learningRate=1 | unknown key 'optimizer.learningRate' | did you mean 'optimizer.learning_rate'?",
        "sampling.setps=1 | unknown key 'sampling.setps' | did you mean 'sampling.steps'?",
        "xylophone=1 | unknown key 'xylophone' | known keys: model, objective",
        "sampling=4 | 'sampling' is a group of settings (steps, | --set sampling.steps=",
        "sampling.steps=many | 'sampling.steps' must be a whole number, but is 'many' | --set sampling.steps=4",
        "sampling.steps=2.5 | 'sampling.steps' must be a whole number | --set sampling.steps=4",
        "sampling.steps= | 'sampling.steps' must be a whole number | --set sampling.steps=4",
        "sampling.steps=0 | 'sampling.steps' must be from 1 to 1000, but is 0 | --set sampling.steps=1",
        "sampling.eta=-0.5 | 'sampling.eta' must be from 0 to 1, but is -0.5 | --set sampling.eta=0",
        "advantage.clip=-1 | 'advantage.clip' must be above 0, but is -1 | --set advantage.clip=1",
        "epochs=-1 | 'epochs' must be at least 0, but is -1 | --set epochs=0",
        "update.step_fraction=0 | must be above 0 and at most 1, but is 0 | --set update.step_fraction=1",
        "advantage.clip=.nan | 'advantage.clip' must be finite | finite number",
        "objective=dppo_is | 'objective' must be one of ddpo_sf, ddpo_is, rwr | did you mean 'ddpo_is'?",
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
