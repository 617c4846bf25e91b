// SPDX-License-Identifier: Apache-2.0
package reverie.app.pretrain;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.config.Configuration;
import reverie.app.config.ConfigurationReader;
import reverie.app.config.PretrainConfig;
import reverie.app.run.Interruption;
import reverie.app.run.Metrics;
import reverie.app.run.RunFolder;
import reverie.app.text.LetterEncoder;
import reverie.diffusion.Prediction;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;

class PretrainingTest {
  @TempDir Path temp;
  private Configuration<PretrainConfig> configuration;

  @BeforeEach
  void drawImages() throws IOException {
    Path data = Files.createDirectory(temp.resolve("data"));
    for (int i = 0; i < 5; i++) {
      BufferedImage image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB);
      for (int x = 0; x < 8; x++) {
        image.setRGB(x, i, 0xFF8000 + 40 * i);
      }
      ImageIO.write(image, "png", data.resolve("line_" + "x".repeat(i + 1) + ".png").toFile());
    }
    configuration =
        new ConfigurationReader<>("pretrain", PretrainConfig.class, List.of())
            .read(
                null,
                null,
                List.of(
                    "data=" + data,
                    "model.block_out_channels=[8,8]",
                    "model.norm_num_groups=4",
                    "model.attention_head_dim=2",
                    "steps=6",
                    "batch_size=4",
                    "warmup=2",
                    "log_every=1",
                    "sample_every=3",
                    "checkpoint_every=2",
                    "sampling.steps=2",
                    "evaluation_samples=7"));
  }

  @Test
  void makesAModelFolderWithFiguresAndImages() throws IOException {
    Path run = temp.resolve("run");
    Path model = pretrain(run, false, () -> false);
    assertTrue(Files.exists(model.resolve("unet/diffusion_pytorch_model.safetensors")));
    assertTrue(Files.exists(model.resolve("scheduler/scheduler_config.json")));
    assertTrue(Files.exists(run.resolve("samples/step-000003.png")));
    assertTrue(
        Files.readString(run.resolve("summary.json")).contains("retrieval_first_word_training"));
    List<Metrics.Line> metrics = Metrics.read(run);
    assertEquals(
        List.of(1L, 2L, 3L, 4L, 5L, 6L), metrics.stream().map(Metrics.Line::step).toList());
    assertTrue(metrics.stream().allMatch(line -> line.values().get("train/loss") > 0));
  }

  @Test
  void learnsAFlowThatItsFolderDescribes() throws IOException {
    for (String density : List.of("uniform", "logit_normal")) {
      configuration =
          new ConfigurationReader<>("pretrain", PretrainConfig.class, List.of())
              .readStored(
                  configuration.yaml(),
                  "test",
                  List.of(
                      "schedule.prediction=flow",
                      "schedule.shift=3",
                      "schedule.density=" + density));
      Path model = pretrain(temp.resolve(density), false, () -> false);
      SchedulerConfig scheduler = SchedulerConfig.read(model.resolve("scheduler"));
      assertEquals(Prediction.FLOW, scheduler.prediction());
      assertEquals("[1000, 750]", scheduler.grid(2).toString());
      assertTrue(
          Files.readString(model.resolve("model_index.json"))
              .contains("FlowMatchEulerDiscreteScheduler"));
    }
  }

  @Test
  void resumedRunsEndWithTheSameBits() throws IOException {
    Path whole = pretrain(temp.resolve("whole"), false, () -> false);

    // Stopped politely after 3 steps, then killed in the middle of step 6 (the checkpoint of step 4
    // remains).
    Path broken = temp.resolve("broken");
    AtomicInteger polite = new AtomicInteger();
    assertThrows(
        Interruption.Stopped.class,
        () -> pretrain(broken, false, () -> polite.incrementAndGet() == 3));
    AtomicInteger rude = new AtomicInteger();
    assertThrows(
        IllegalStateException.class,
        () ->
            pretrain(
                broken,
                true,
                () -> {
                  if (rude.incrementAndGet() == 2) {
                    throw new IllegalStateException("killed");
                  }
                  return false;
                }));
    Path resumed = pretrain(broken, true, () -> false);

    String weights = "unet/diffusion_pytorch_model.safetensors";
    assertArrayEquals(
        Files.readAllBytes(whole.resolve(weights)), Files.readAllBytes(resumed.resolve(weights)));
    assertEquals(
        Metrics.read(temp.resolve("whole")).stream().map(Metrics.Line::values).toList(),
        Metrics.read(broken).stream().map(Metrics.Line::values).toList());
  }

  @Test
  void aDamagedCheckpointIsRefused() throws IOException {
    Path run = temp.resolve("run");
    pretrain(run, false, () -> false);
    Files.write(run.resolve("checkpoint.safetensors"), new byte[] {1, 2, 3});
    assertThrows(ReverieException.class, () -> pretrain(run, true, () -> false));
  }

  @Test
  void aMissingCheckpointIsSaid() throws IOException {
    Path run = temp.resolve("run");
    pretrain(run, false, () -> false);
    Files.delete(run.resolve("checkpoint.safetensors"));
    String message =
        assertThrows(ReverieException.class, () -> pretrain(run, true, () -> false)).getMessage();
    assertTrue(message.contains("is missing, though the run came to step 6"), message);
  }

  /** Data and shape are looked at before there is a folder. */
  @Test
  void whatCannotWorkLeavesNoFolder() {
    for (String setting :
        List.of(
            "data=" + temp.resolve("absent"),
            "model.norm_num_groups=3",
            "model.block_out_channels=[8,8,8]",
            "model.block_out_channels=[8,8,8,8,8]",
            "base=" + temp.resolve("absent"))) {
      Configuration<PretrainConfig> good = configuration;
      set(setting);
      Path run = temp.resolve("run");
      ReverieException error =
          assertThrows(ReverieException.class, () -> pretrain(run, false, () -> false), setting);
      assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
      assertFalse(Files.exists(run), setting);
      configuration = good;
    }
  }

  @Test
  void aRunGoesOnForMoreSteps() throws IOException {
    Path run = temp.resolve("run");
    pretrain(run, false, () -> false);
    set("steps=8");
    pretrain(run, true, () -> false);
    List<Metrics.Line> lines = Metrics.read(run);
    assertEquals(8, lines.getLast().step());
    assertEquals(8, lines.size());
    assertTrue(Files.readString(run.resolve(RunFolder.CONFIG)).contains("steps: 8"));
    set("steps=7");
    String message =
        assertThrows(ReverieException.class, () -> pretrain(run, true, () -> false)).getMessage();
    assertTrue(message.contains("steps: 8 → 7"), message);
  }

  private void set(String setting) {
    configuration =
        new ConfigurationReader<>("pretrain", PretrainConfig.class, List.of())
            .readStored(configuration.yaml(), "test", List.of(setting));
  }

  private Path pretrain(Path folder, boolean resume, BooleanSupplier stop) {
    PrintWriter console = new PrintWriter(new StringWriter());
    try (Pretraining pretraining =
            new Pretraining(configuration.value(), new LetterEncoder(), Device.cpu());
        RunFolder run =
            resume
                ? RunFolder.resume(folder, configuration, console)
                : RunFolder.create(folder, configuration, List.of("test"), console)) {
      return pretraining.run(run, stop);
    }
  }
}
