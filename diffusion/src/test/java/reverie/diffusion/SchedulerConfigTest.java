// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
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
    assertEquals(
        0.5 * 0.5,
        config.withBetas(SchedulerConfig.BetaSchedule.LINEAR, 0.5, 0.5).schedule().alphaBar(1),
        1e-15);
    assertEquals(0.9999, config.withTrainSteps(3).schedule().alphaBar(0), 1e-15);
    assertTrue(
        message("{\"trained_betas\": [0.1, 0.2]}").contains("expected 1000 trained_betas, got 2"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"_class_name\": \"ScoreSdeVeScheduler\"} | file.json is for ScoreSdeVeScheduler",
        "{\"predict_epsilon\": false} | predict_epsilon false in file.json is not supported",
        "{\"use_dynamic_shifting\": true} | use_dynamic_shifting true in file.json",
        "{\"beta_end\": NaN} | expected a number for beta_end",
        "{\"use_flow_sigmas\": true} | use_flow_sigmas true in file.json is not supported",
        "{\"sigma_data\": 0.5} | sigma_data 0.5 in file.json is not supported",
        "{\"steps_offset\": -1} | steps_offset of at least 0, got -1",
        "{\"steps_offset\": 0, \"steps_offset\": 1} | Duplicate",
        "{\"num_train_timesteps\": 100000000} | at most 100000 for num_train_timesteps",
        "{\"beta_end\": 1.5} | expected 0 < beta < 1",
        "{\"clip_sample_range\": 1e999} | expected a number for clip_sample_range",
        "{\"prediction_type\": \"flow_prediction\"} | belong together",
        "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"shift\": 0} | positive shift, got"
            + " 0.0",
        "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"shift_terminal\": 0.1} |"
            + " shift_terminal 0.1",
        "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"use_karras_sigmas\": true} |"
            + " use_karras_sigmas true",
        "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"invert_sigmas\": true} |"
            + " invert_sigmas true",
        "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"time_shift_type\": \"cubic\"} |"
            + " time_shift_type \"cubic\"",
        "{\"thresholding\": true} | thresholding true in file.json is not supported",
        "{\"variance_type\": \"learned_range\"} | variance_type learned_range in file.json",
        "{\"beta_schedule\": \"cosine\"} | beta_schedule \"cosine\" in file.json is not known",
        "{\"prediction_type\": \"\\u001b[1m\"} | prediction_type \"\\u001b[1m\" is not known",
        "{\"timestep_spacing\": \"karras\"} | timestep_spacing \"karras\"",
        "{\"clip_sample\": \"yes\"} | expected true or false for clip_sample in file.json, got"
            + " \"yes\"",
        "{\"beta_start\": \"small\"} | expected a number for beta_start in file.json",
        "{\"num_train_timesteps\": 10.5} | expected a whole number for num_train_timesteps in"
            + " file.json",
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
          "{\"thresholding\": false, \"rescale_betas_zero_snr\": false, \"variance_type\":"
              + " \"fixed_small\"}",
          "{\"variance_type\": null, \"num_train_timesteps\": 1000.0}",
          "{\"variance_type\": \"fixed_large\"}"
        }) {
      assertFalse(SchedulerConfig.parse(json, "file.json").source().isEmpty());
    }
  }

  /** What their {@code save_pretrained} writes, as {@code DDIMScheduler.from_config} takes it. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        """
        {"_class_name": "EulerDiscreteScheduler", "interpolation_type": "linear", "sigma_max": null,
         "use_karras_sigmas": true, "timestep_type": "discrete", "final_sigmas_type": "zero", %s}\
        """,
        """
        {"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver++", "solver_order": 2,
         "lambda_min_clipped": -Infinity, "lower_order_final": true, "solver_type": "midpoint",
         "flow_shift": 1.0, "use_flow_sigmas": false, "use_dynamic_shifting": false,
         "time_shift_type": "exponential", %s}\
        """,
        """
        {"_class_name": "UniPCMultistepScheduler", "disable_corrector": [0], "predict_x0": true,
         "solver_type": "bh2", "solver_p": null, "dynamic_thresholding_ratio": 0.995, %s}\
        """,
        """
        {"_class_name": "LMSDiscreteScheduler", "use_beta_sigmas": false, %s}\
        """,
        """
        {"_class_name": "PNDMScheduler", "skip_prk_steps": true, "predict_epsilon": true,
         "tensor_format": "pt", %s}\
        """
      })
  void otherSamplersFilesAreReadAsDdim(String json) {
    String noise =
        """
        "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1,
        "timestep_spacing": "linspace", "set_alpha_to_one": true,
        "_use_default_values": ["timestep_spacing", "set_alpha_to_one"]\
        """;
    SchedulerConfig config = SchedulerConfig.parse(json.replace("%s", noise), "file.json");
    assertEquals(
        SchedulerConfig.stableDiffusion().schedule().alphaBar(500),
        config.schedule().alphaBar(500));
    // DDIM's own defaults, not those of the class that wrote the file.
    assertEquals(TimestepGrid.Spacing.LEADING, config.spacing());
    assertTrue(config.clipSample() && config.endsClean());
    assertEquals(config, SchedulerConfig.parse(config.toJson(), "again"));
    // As Python writes it, without quotes.
    assertEquals(json.contains("-Infinity"), config.toJson().contains(" : -Infinity"));
  }

  @Test
  void nothingIsLeftAtTheLastTimestepWithZeroTerminalSnr() {
    SchedulerConfig config =
        SchedulerConfig.parse(
            """
            {"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear",
             "beta_start": 0.00085, "beta_end": 0.012, "prediction_type": "v_prediction", "rescale_betas_zero_snr": true, "clip_sample": false,
             "timestep_spacing": "trailing"}\
            """,
            "file.json");
    NoiseSchedule schedule = config.schedule();
    assertEquals(0.99915, schedule.alphaBar(0), 1e-15);
    assertEquals(0.241018782757316, schedule.alphaBar(500), 1e-14);
    assertEquals(0, schedule.alphaBar(999));
    assertEquals(1, schedule.noiseVariance(999));
    for (int i = 0; i < 10; i++) {
      ReversePolicy policy = ReversePolicy.ddim(config, 10, 1);
      assertTrue(Double.isFinite(policy.stateFactor(i)) && Double.isFinite(policy.outputFactor(i)));
    }
    assertEquals(config, SchedulerConfig.parse(config.toJson(), "again"));
    String message =
        assertThrows(
                ReverieException.class,
                () -> ReversePolicy.ddim(config.withPrediction(Prediction.EPSILON), 10, 1))
            .getMessage();
    assertTrue(message.contains("nothing of the sample is left at timestep 999"), message);
  }

  @Test
  void largeVarianceIsThatOfTheForwardStep() {
    SchedulerConfig config =
        SchedulerConfig.parse(
            SchedulerConfig.stableDiffusion()
                .toJson()
                .replace("{", "{\"variance_type\": \"fixed_large\","),
            "file.json");
    ReversePolicy policy = ReversePolicy.ddpm(config, 50);
    assertEquals(0.45480791470255544, policy.sigma(0), 1e-12);
    assertEquals(0.04127919768537908, policy.sigma(49), 1e-12);
    // Nothing is added at timestep 0, where the grid of another offset ends.
    assertEquals(
        0, ReversePolicy.ddpm(config.withSpacing(TimestepGrid.Spacing.LEADING, 0), 50).sigma(49));
    ReversePolicy small = ReversePolicy.ddpm(SchedulerConfig.stableDiffusion(), 50);
    assertEquals(small.stateFactor(0), policy.stateFactor(0));
    assertEquals(
        ReversePolicy.ddim(config, 50, 1).sigma(0),
        ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 50, 1).sigma(0));
  }

  @Test
  void aFlowsFileIsReadAndWritten() {
    SchedulerConfig config =
        SchedulerConfig.parse(
            """
            {"_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.29.0",
             "num_train_timesteps": 1000, "shift": 3.0, "use_karras_sigmas": false,
             "shift_terminal": null}\
            """,
            "file.json");
    assertEquals(Prediction.FLOW, config.prediction());
    assertEquals(602.150537634409, config.grid(4).timestep(2), 1e-9);
    assertEquals(config, SchedulerConfig.parse(config.toJson(), "again"));
    assertTrue(config.toJson().contains("\"FlowMatchEulerDiscreteScheduler\""), config.toJson());
    assertFalse(config.toJson().contains("beta_start"), config.toJson());
    assertEquals(
        TimestepGrid.Spacing.TRAILING,
        SchedulerConfig.parse(
                config.withSpacing(TimestepGrid.Spacing.TRAILING, 0).toJson(), "again")
            .spacing());
  }

  @Test
  void aDynamicShiftDependsOnTheTokens() {
    SchedulerConfig config =
        SchedulerConfig.parse(
            """
            {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0,
             "use_dynamic_shifting": true}\
            """,
            "file.json");
    for (SchedulerConfig written :
        List.of(
            config,
            config.withFlow(
                Optional.of(
                    new SchedulerConfig.Flow(
                        2, Optional.of(new SchedulerConfig.DynamicShift(1, 3, 16, 64, false))))))) {
      assertEquals(written, SchedulerConfig.parse(written.toJson(), "again"));
    }
    String message = assertThrows(ReverieException.class, () -> config.grid(4)).getMessage();
    assertTrue(message.contains("forTokens"), message);
    // On the line from (16, 1) to (64, 3).
    for (boolean exponential : new boolean[] {false, true}) {
      double mu = 1 + 2 * (32 - 16) / 48.0;
      assertEquals(
          exponential ? Math.exp(mu) : mu,
          new SchedulerConfig.DynamicShift(1, 3, 16, 64, exponential).shift(32),
          1e-12);
    }
    SchedulerConfig.Flow flow = config.forTokens(1024).flow().orElseThrow();
    assertEquals(1.8776105792643432, flow.shift(), 1e-12);
    assertEquals(1000, config.forTokens(1024).grid(4).timestep(0), 1e-9);
    assertEquals(
        1000 * flow.shift() * .25 / (1 + (flow.shift() - 1) * .25),
        config.forTokens(1024).grid(4).timestep(3),
        1e-9);
  }

  @Test
  void missingFilesAreNamed(@TempDir Path folder) {
    String message =
        assertThrows(ReverieException.class, () -> SchedulerConfig.read(folder)).getMessage();
    assertTrue(message.contains("scheduler_config.json"), message);
  }

  /** As diffusers leaves a U-Net that was saved alone. */
  @Test
  void aMissingFileIsNamed(@TempDir Path folder) {
    ReverieException error =
        assertThrows(ReverieException.class, () -> SchedulerConfig.read(folder));
    assertTrue(
        error.getMessage().contains("expected the file " + folder.resolve(SchedulerConfig.FILE)),
        error::getMessage);
    assertTrue(error.getMessage().contains("hint: save_pretrained"), error::getMessage);
  }
}
