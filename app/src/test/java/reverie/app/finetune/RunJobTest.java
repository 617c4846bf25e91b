// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.config.Configuration;
import reverie.app.config.FinetuneConfig;
import reverie.app.model.BaseModels;
import reverie.app.text.LetterEncoder;
import reverie.autograd.nn.Parameter;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;

/** What another machine makes of a run's configuration. */
class RunJobTest {
  @TempDir Path folder;

  @Test
  void theJobOfAnotherMachineIsTheDrivers() throws IOException {
    TinyRun.in(folder);
    Configuration<FinetuneConfig> configuration =
        FinetuneConfig.READER.read(
            null,
            null,
            List.of(
                "model=" + folder.resolve("model"),
                "lora.rank=2",
                "update.shards=2",
                "prompts.source=" + folder.resolve("prompts.txt")));
    var encoder = new LetterEncoder();
    try (Scope _ = Scope.open("driver");
        FinetuneModel driver =
            new FinetuneModel(
                BaseModels.read(
                    configuration.value().model(),
                    encoder,
                    Device.cpu(),
                    configuration.value().weights().dtype()),
                configuration.value(),
                encoder,
                Device.cpu())) {
      try (RunJob own = job(configuration, driver.identity())) {
        assertEquals(configuration.value().objective(), own.job().objective());
        assertEquals(configuration.value().training(), own.job().settings());
        assertEquals(configuration.value().reward().title(), own.job().reward().name());
        List<Parameter> expected = driver.parameters().trainable();
        List<Parameter> actual = own.job().policy().parameters().trainable();
        assertEquals(expected.size(), actual.size());
        for (int i = 0; i < expected.size(); i++) {
          assertEquals(expected.get(i).name(), actual.get(i).name());
          assertArrayEquals(expected.get(i).value().toFloats(), actual.get(i).value().toFloats());
        }
      }
      Map<String, String> other = Map.of("base_weights", "sha256 of others");
      assertRefused(configuration, other, "sha256 of others");
      Configuration<FinetuneConfig> absent =
          FinetuneConfig.READER.readStored(
              configuration.yaml(), "test", List.of("reward.command=[/no/such/program]"));
      assertRefused(absent, driver.identity(), "cannot be started");
    }
  }

  /** With an error, and nothing left open. */
  private static void assertRefused(
      Configuration<FinetuneConfig> configuration, Map<String, String> identity, String part) {
    long before = Device.cpu().liveBytes();
    try (Scope _ = Scope.open("refused")) {
      var error = assertThrows(ReverieException.class, () -> job(configuration, identity).close());
      assertTrue(error.getMessage().contains(part), error.getMessage());
    }
    assertEquals(before, Device.cpu().liveBytes());
  }

  private static RunJob job(
      Configuration<FinetuneConfig> configuration, Map<String, String> identity) {
    return new RunJob(configuration.yaml(), identity, List.of(), new LetterEncoder(), Device.cpu());
  }
}
