// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class SchedulerConfigTest {
  private static final String STABLE =
      """
      {"_class_name": "PNDMScheduler", "_diffusers_version": "0.7.0.dev0", "beta_end": 0.012,
       "beta_schedule": "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000,
       "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1, "trained_betas": null,
       "clip_sample": false}\
      """;

  private static String message(String json) {
    return assertThrows(ReverieException.class, () -> SchedulerConfig.parse(json, "file.json"))
        .getMessage();
  }

  @Test
  void stableDiffusionsFileIsRead() {
    SchedulerConfig config = SchedulerConfig.parse(STABLE, "file.json");
    assertEquals("skip_prk_steps", config.source().keySet().stream().reduce((a, b) -> b).get());
    assertEquals(
        SchedulerConfig.stableDiffusion().toJson().lines().count() + 2,
        config.toJson().lines().count());
    SchedulerConfig ours = SchedulerConfig.stableDiffusion();
    assertEquals(ours.schedule().alphaBar(999), config.schedule().alphaBar(999));
    assertEquals(ours.grid(50).toString(), config.grid(50).toString());
    assertEquals(ours.endsClean(), config.endsClean());
    assertEquals(ours.clipSample(), config.clipSample());
    assertEquals(ours.prediction(), config.prediction());
  }

  @Test
  void whatAFileDoesNotSayIsAsInDiffusers() {
    SchedulerConfig config =
        SchedulerConfig.parse("{\"_class_name\": \"DDPMScheduler\"}", "file.json");
    assertEquals(
        SchedulerConfig.defaults()
            .withBetas(config.betaSchedule(), 1e-4, 0.02)
            .schedule()
            .alphaBar(999),
        config.schedule().alphaBar(999));
    assertTrue(config.clipSample() && config.endsClean());
    assertEquals(1, config.clipSampleRange());
    assertEquals(0, config.stepsOffset());
  }

  @Test
  void writtenFilesAreReadAgainWithUnknownKeys(@TempDir Path folder) throws Exception {
    SchedulerConfig config =
        SchedulerConfig.parse(STABLE, "file.json")
            .withPrediction(Prediction.V_PREDICTION)
            .withSpacing(TimestepGrid.Spacing.TRAILING, 0)
            .withClipping(2);
    config.write(folder.resolve("scheduler"));
    assertEquals(config, SchedulerConfig.read(folder.resolve("scheduler")));
    assertEquals(
        config, SchedulerConfig.read(folder.resolve("scheduler").resolve(SchedulerConfig.FILE)));
    JsonNode json =
        JsonMapper.shared()
            .readTree(Files.readString(folder.resolve("scheduler/scheduler_config.json")));
    assertEquals("PNDMScheduler", json.get("_class_name").stringValue());
    assertTrue(json.get("skip_prk_steps").booleanValue());
    assertTrue(json.get("trained_betas").isNull());
    assertEquals("trailing", json.get("timestep_spacing").stringValue());
    assertEquals("v_prediction", json.get("prediction_type").stringValue());
    assertEquals(0.00085, json.get("beta_start").doubleValue());
    assertEquals(
        "DDIMScheduler",
        JsonMapper.shared()
            .readTree(SchedulerConfig.defaults().toJson())
            .get("_class_name")
            .stringValue());
  }

  @Test
  void betasOfTheFileStandAboveTheirShape() {
    SchedulerConfig config =
        SchedulerConfig.parse(
            "{\"num_train_timesteps\": 2, \"trained_betas\": [0.1, 0.2]}", "file.json");
    assertEquals(0.9 * 0.8, config.schedule().alphaBar(1), 1e-15);
    assertEquals(config.toJson(), SchedulerConfig.parse(config.toJson(), "again").toJson());
    assertTrue(
        message("{\"trained_betas\": [0.1, 0.2]}").contains("expected 1000 trained_betas, got 2"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"_class_name\": \"EulerDiscreteScheduler\"} | file.json is for EulerDiscreteScheduler",
        "{\"thresholding\": true} | thresholding true in file.json is not supported",
        "{\"rescale_betas_zero_snr\": true} | rescale_betas_zero_snr true in file.json",
        "{\"variance_type\": \"learned_range\"} | variance_type learned_range in file.json",
        "{\"beta_schedule\": \"cosine\"} | beta_schedule \"cosine\" in file.json is not known",
        "{\"prediction_type\": \"flow\"} | prediction_type \"flow\"",
        "{\"timestep_spacing\": \"karras\"} | timestep_spacing \"karras\"",
        "{\"clip_sample\": \"yes\"} | expected true or false for clip_sample in file.json, got \"yes\"",
        "{\"beta_start\": \"small\"} | expected a number for beta_start in file.json",
        "{\"num_train_timesteps\": 10.5} | expected a whole number for num_train_timesteps in file.json",
        "{\"trained_betas\": 3} | expected a list of numbers for trained_betas",
        "{\"clip_sample_range\": 0} | positive clip_sample_range",
        "{\"num_train_timesteps\": 0} | at least one training timestep",
        "{\"beta_start\": | file.json is not JSON",
        "[] | expected a JSON object in file.json",
      })
  void whatWouldChangeTheResultIsRefused(String json, String expected) {
    assertTrue(message(json).contains(expected), () -> message(json));
  }

  @Test
  void harmlessValuesAreAccepted() {
    for (String json :
        new String[] {
          "{\"thresholding\": false, \"rescale_betas_zero_snr\": false, \"variance_type\": \"fixed_small\"}",
          "{\"variance_type\": null, \"num_train_timesteps\": 1000.0}"
        }) {
      assertFalse(SchedulerConfig.parse(json, "file.json").source().isEmpty());
    }
  }

  @Test
  void missingFilesAreNamed(@TempDir Path folder) {
    String message =
        assertThrows(ReverieException.class, () -> SchedulerConfig.read(folder)).getMessage();
    assertTrue(message.contains("scheduler_config.json"), message);
  }
}
