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
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.app.config.Configuration;
import reverie.app.config.PretrainConfig;
import reverie.app.model.ModelFolder;
import reverie.app.model.ModelPrompts;
import reverie.app.run.Interruption;
import reverie.app.run.Metrics;
import reverie.app.run.RunFolder;
import reverie.app.text.LetterEncoder;
import reverie.diffusion.Prediction;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.io.Safetensors;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

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
        PretrainConfig.READER.read(
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
          PretrainConfig.READER.readStored(
              configuration.yaml(),
              "test",
              List.of(
                  "schedule.prediction=flow", "schedule.shift=3", "schedule.density=" + density));
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
    Path checkpoint = run.resolve("checkpoint.safetensors");
    set("steps=7");
    // Sound, but of a run that is longer than this one.
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
    Map<String, String> metadata;
    try (Safetensors saved = Safetensors.open(checkpoint)) {
      metadata = new TreeMap<>(saved.metadata());
      for (String name : saved.names()) {
        entries.put(name, new Safetensors.Entry(DType.F32, saved.shape(name), saved.floats(name)));
      }
    }
    metadata.put("steps", "99999999999");
    Safetensors.writeChecked(checkpoint, entries, metadata);
    refuses(run, "after how many of 7 steps it was written, got 99999999999");
    Files.write(checkpoint, new byte[] {1, 2, 3});
    refuses(run, checkpoint.toString());
  }

  private void refuses(Path run, String part) {
    ReverieException error =
        assertThrows(ReverieException.class, () -> pretrain(run, true, () -> false));
    assertTrue(error.getMessage().contains(part), error::getMessage);
    assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
  }

  /** What a run depends on is the same when it goes on, or it does not. */
  @Test
  void otherImagesAreNotResumedWith() throws IOException {
    Path base = base(3, 0);
    set("base=" + base);
    Path run = temp.resolve("run");
    pretrain(run, false, () -> false);
    set("steps=8");
    Path image = temp.resolve("data/line_x.png");
    byte[] before = Files.readAllBytes(image);
    Files.copy(temp.resolve("data/line_xx.png"), image, StandardCopyOption.REPLACE_EXISTING);
    refuses(run, "another images:\n  then 5 with checksum ");
    Files.write(image, before);
    SchedulerConfig.defaults().withTrainSteps(500).write(base.resolve("scheduler"));
    refuses(run, "another scheduler:");
    SchedulerConfig.defaults().write(base.resolve("scheduler"));
    try (UNet other = UNet.load(base.resolve("unet"), Device.cpu());
        Scope _ = Scope.open("change")) {
      Tensor weight = other.parameters().all().getFirst().value();
      weight.assign(weight.add(1e-3));
      other.save(base.resolve("unet"));
    }
    refuses(run, "another base_weights:");
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

  /** A base is trained on what it draws: colours or grey, by words or by the numbers of classes. */
  @ParameterizedTest
  @CsvSource({"3, 0", "1, 0", "3, 5", "1, 5"})
  void aBaseIsTrainedFurther(int channels, int classes) throws IOException {
    Path base = base(channels, classes);
    if (classes > 0) {
      nameByNumbers();
    }
    set("base=" + base);
    Path model = pretrain(temp.resolve("run"), false, () -> false);
    String weights = "unet/diffusion_pytorch_model.safetensors";
    assertTrue(Files.mismatch(base.resolve(weights), model.resolve(weights)) >= 0);
    assertEquals(channels, UNetConfig.read(model.resolve("unet/config.json")).inChannels());
    assertEquals(
        classes > 0 ? List.of("0", "1", "2", "3", "4") : List.of("line x", "line xx"),
        Files.readAllLines(model.resolve("prompts.txt")).subList(0, classes > 0 ? 5 : 2));
    assertTrue(Files.exists(temp.resolve("run/samples/step-000003.png")));
  }

  private Path base(int channels, int classes) {
    String kind = classes > 0 ? "" : "CrossAttn";
    String config =
        String.format(
            Locale.ROOT,
            """
            {"_class_name": "%s", "sample_size": 8, "in_channels": %d, "out_channels": %d,
             "down_block_types": ["%sDownBlock2D"], "up_block_types": ["%sUpBlock2D"],
             "block_out_channels": [4], "layers_per_block": 1, "norm_num_groups": 2,
             "attention_head_dim": 2, %s}
            """,
            classes > 0 ? "UNet2DModel" : "UNet2DConditionModel",
            channels,
            channels,
            kind,
            kind,
            classes > 0
                ? "\"num_class_embeds\": " + classes
                : "\"cross_attention_dim\": " + new LetterEncoder().dimensions());
    Path base = temp.resolve("base-" + channels + "-" + classes);
    try (UNet unet = UNet.random(UNetConfig.parse(config), Device.cpu(), Rng.of(3))) {
      new ModelFolder(
              unet,
              SchedulerConfig.defaults(),
              classes > 0 ? "" : new LetterEncoder().identity(),
              ModelPrompts.UNKNOWN)
          .write(base);
    }
    return base;
  }

  private void nameByNumbers() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 5; i++) {
      lines.append(
          String.format(
              Locale.ROOT,
              "{\"file_name\": \"line_%s.png\", \"text\": \"%d\"}%n",
              "x".repeat(i + 1),
              i));
    }
    Files.writeString(temp.resolve("data/metadata.jsonl"), lines);
  }

  @Test
  void metricsTellMeansAfterAResumeToo() throws IOException {
    set("log_every=3");
    pretrain(temp.resolve("whole"), false, () -> false);
    Path broken = temp.resolve("broken");
    AtomicInteger steps = new AtomicInteger();
    assertThrows(
        Interruption.Stopped.class,
        () -> pretrain(broken, false, () -> steps.incrementAndGet() == 2));
    pretrain(broken, true, () -> false);
    double whole = Metrics.read(temp.resolve("whole")).getFirst().values().get("train/loss");
    double resumed = Metrics.read(broken).getFirst().values().get("train/loss");
    // Of step 3 alone, not a third of it.
    assertEquals(whole, resumed, 0.6 * whole);
  }

  /** Data and shape are looked at before there is a folder. */
  @Test
  void whatCannotWorkLeavesNoFolder() throws IOException {
    Path wide = Files.createDirectory(temp.resolve("wide"));
    ImageIO.write(
        new BufferedImage(16, 8, BufferedImage.TYPE_INT_RGB),
        "png",
        wide.resolve("a.png").toFile());
    for (String setting :
        List.of(
            "data=" + temp.resolve("absent"),
            "data=" + wide,
            "base=" + base(3, 5),
            "base=" + base(3, 0) + ";schedule.prediction=flow;schedule.density=logit_normal",
            "model.norm_num_groups=3",
            "model.block_out_channels=[8,8,8]",
            "model.block_out_channels=[8,8,8,8,8]",
            "base=" + temp.resolve("absent"))) {
      Configuration<PretrainConfig> good = configuration;
      set(setting.split(";"));
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

  private void set(String... settings) {
    configuration =
        PretrainConfig.READER.readStored(configuration.yaml(), "test", List.of(settings));
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
