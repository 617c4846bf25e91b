// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.app.data.PngImages;
import reverie.pipeline.lora.LoraFile;
import reverie.tensor.io.Safetensors;

/** Training and measuring with a Stable Diffusion folder, on one of 0.3 million random weights. */
class PipelineRunsTest extends CommandTest {
  private static final String FOLDER =
      Path.of("../pipeline/src/test/resources/reverie/pipeline/sd2_tiny").toString();
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";

  @TempDir private Path temporary;

  private int run(String... arguments) {
    return run(List.of(arguments), "--device", "cpu");
  }

  private void succeed(String... arguments) {
    assertEquals(0, run(arguments), err::toString);
  }

  private static String[] settings(List<String> start, String... settings) {
    List<String> line = new ArrayList<>(start);
    for (String setting : settings) {
      line.addAll(List.of("--set", setting));
    }
    return line.toArray(String[]::new);
  }

  private Path finetune(String name, String... more) throws IOException {
    Path prompts = Files.writeString(temporary.resolve("prompts.txt"), "a cat\na dog\n");
    Path folder = temporary.resolve(name);
    List<String> all =
        new ArrayList<>(
            List.of(
                "model=" + FOLDER,
                "prompts.source=" + prompts,
                "prompts.per_epoch=2",
                "prompts.images_each=2",
                "sampling.steps=2",
                "sampling.batch_size=4",
                "update.batch_size=4",
                "lora.rank=2",
                "epochs=2",
                "evaluation.samples=2",
                "evaluation.every_samples=2"));
    all.addAll(List.of(more));
    succeed(settings(List.of("finetune", "--out", folder.toString()), all.toArray(String[]::new)));
    return folder;
  }

  private Path preferences(String size) throws IOException {
    Path prompts = Files.writeString(temporary.resolve("choices.txt"), "a cat\na dog\n");
    Path folder = temporary.resolve("preferences");
    succeed(
        "preferences",
        "--model",
        FOLDER,
        "--prompts",
        prompts.toString(),
        "--pairs",
        "3",
        "--steps",
        "2",
        "--size",
        size,
        "--out",
        folder.toString());
    return folder.resolve("preferences.jsonl");
  }

  /** The pixels of an image; its file says how it was drawn as well. */
  private int[] drawn(String name, String... more) {
    Path image = temporary.resolve(name + ".png");
    List<String> line =
        new ArrayList<>(List.of("sample", "--prompt", "a cat", "--images", "1", "--steps", "2"));
    line.addAll(List.of("--scale", "1", "--out", image.toString()));
    line.addAll(List.of(more));
    succeed(line.toArray(String[]::new));
    BufferedImage drawn = PngImages.read(image);
    return drawn.getRGB(0, 0, drawn.getWidth(), drawn.getHeight(), null, 0, drawn.getWidth());
  }

  /**
   * A run that stopped after an epoch goes on as if it had not, with averaged adapters too. These
   * alone are a model, which knows the one that they belong to.
   */
  @Test
  void resumedRunsEndWithTheSameBitsAndAdaptersAreAModel() throws IOException {
    Path whole = finetune("whole", "ema.decay=0.5");
    Path parts = finetune("parts", "ema.decay=0.5", "epochs=1");
    succeed("finetune", "--resume", parts.toString(), "--set", "epochs=2");
    assertSameTensors(whole, parts, "checkpoint.safetensors");
    assertSameTensors(whole, parts, "model/" + LoraFile.NAME);

    // What is saved is the average, not the weights as they are at the end.
    Set<List<Double>> saved = values(whole.resolve("model/" + LoraFile.NAME), "");
    assertEquals(values(whole.resolve("checkpoint.safetensors"), "average."), saved);
    assertNotEquals(values(whole.resolve("checkpoint.safetensors"), "weight."), saved);

    Path model = whole.resolve("model");
    int[] tuned = drawn("tuned", "--model", model.toString());
    assertArrayEquals(
        drawn("added", "--model", FOLDER, "--lora", model.resolve(LoraFile.NAME).toString()),
        tuned);
    assertFalse(Arrays.equals(drawn("base", "--model", FOLDER), tuned));

    // People may choose between a model's images too, of prompts that are to be named.
    assertEquals(ExitCode.USAGE, run("preferences", "serve", FOLDER, "--pairs", "1"));
    assertTrue(err.toString().contains("name some: --prompts FILE"), err::toString);

    Path merged = temporary.resolve("merged");
    succeed("convert", model.toString(), "--out", merged.toString());
    assertArrayEquals(drawn("merged", "--model", merged.toString()), tuned);
    // And more can be learnt on top of it.
    Path again = finetune("again", "model=" + model, "epochs=1").resolve("model");
    assertFalse(Arrays.equals(drawn("again", "--model", again.toString()), tuned));

    Path note = model.resolve("reverie.json");
    Files.writeString(note, Files.readString(note).replaceFirst("sha256 \\w", "sha256 x"));
    assertEquals(ExitCode.BAD_INPUT, run("convert", model.toString(), "--out", merged.toString()));
    assertTrue(err.toString().contains("belong to a model with the weights"), err::toString);
    Files.writeString(note, "{\"base\": \"" + model + "\", \"base_weights\": \"x\"}");
    assertEquals(ExitCode.BAD_INPUT, run("convert", model.toString(), "--out", merged.toString()));
    assertTrue(err.toString().contains("belong to themselves"), err::toString);
  }

  /** The first factors of adapters whose names begin so; the second are scaled in files. */
  private static Set<List<Double>> values(Path file, String prefix) {
    try (Safetensors tensors = Safetensors.open(file)) {
      return tensors.names().stream()
          .filter(name -> name.startsWith(prefix) && name.contains("lora_A"))
          .map(name -> Arrays.stream(tensors.doubles(name)).boxed().toList())
          .collect(Collectors.toSet());
    }
  }

  private static void assertSameTensors(Path one, Path other, String file) {
    try (Safetensors a = Safetensors.open(one.resolve(file));
        Safetensors b = Safetensors.open(other.resolve(file))) {
      assertEquals(a.names(), b.names());
      for (String name : a.names()) {
        assertArrayEquals(a.doubles(name), b.doubles(name), name);
      }
    }
  }

  /** The text encoder's adapters are written beside those of the U-Net, and drawn with. */
  @Test
  void theTextEncoderIsTrainedToo() throws IOException {
    Path model =
        finetune(
                "run",
                "epochs=1",
                "sampling.guidance=2",
                "ema.decay=0.5",
                "lora.targets=[attn2\\.to_k, proj_in]",
                "lora.text_encoder=[q_proj]")
            .resolve("model");
    Path file = model.resolve(LoraFile.NAME);
    try (Safetensors adapters = Safetensors.open(file)) {
      assertEquals(
          List.of("attn2.to_k", "layers.N.self_attn.q_proj", "proj_in"),
          adapters.names().stream()
              .map(name -> name.replaceFirst("\\.lora_[AB]\\.weight$", ""))
              .map(name -> name.replaceFirst(".*(attn2|proj_in)", "$1"))
              .map(name -> name.replaceFirst(".*layers\\.\\d", "layers.N"))
              .distinct()
              .sorted()
              .toList());
      String b = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_B.weight";
      assertTrue(Arrays.stream(adapters.doubles(b)).anyMatch(v -> v != 0));
    }
    int[] tuned = drawn("tuned", "--model", model.toString());
    assertArrayEquals(drawn("added", "--model", FOLDER, "--lora", file.toString()), tuned);
    String kohya = model.resolve("kohya_lora_weights.safetensors").toString();
    assertArrayEquals(drawn("kohya", "--model", FOLDER, "--lora", kohya), tuned);
    assertEquals(
        ExitCode.BAD_INPUT,
        run(
            settings(
                List.of("finetune"), "model=" + FOLDER, "lora.rank=1", "lora.targets=[to_z]")));
    assertTrue(err.toString().contains("'to_z' matches none of the model's"), err::toString);
  }

  /** A folder of 16 bits draws and learns the same, bit for bit, however it is held. */
  @Test
  void weightsStayInSixteenBits() throws IOException {
    String half = temporary.resolve("half").toString();
    succeed("convert", FOLDER, "--out", half, "--dtype", "bf16");
    int[] expected = drawn("widened", "--model", half);
    assertArrayEquals(expected, drawn("held", "--model", half, "--weights", "bf16"));
    Path widened = finetune("floats", "model=" + half, "epochs=1");
    Path held = finetune("bits", "model=" + half, "weights=bfloat16", "epochs=1");
    assertSameTensors(widened, held, "checkpoint.safetensors");
    String tuned = held.resolve("model").toString();
    int[] drawn = drawn("tuned", "--model", tuned, "--weights", "bf16");
    assertFalse(Arrays.equals(expected, drawn));
    assertArrayEquals(drawn("merged", "--model", tuned), drawn);
    assertEquals(
        ExitCode.USAGE,
        run(settings(List.of("finetune"), "model=" + FOLDER, "weights=fp16", "lora.rank=0")));
    assertTrue(err.toString().contains("lora.rank is 0"), err::toString);
    assertEquals(ExitCode.USAGE, run(settings(List.of("finetune"), "weights=fp16", "lora.rank=1")));
    assertTrue(err.toString().contains("the sum would be rounded"), err::toString);
  }

  /** Of every size, square or not: drawn, chosen between, and learnt from. */
  @ParameterizedTest
  @ValueSource(strings = {"diffusion_dpo", "rwr"})
  void learnsFromImages(String objective) throws IOException {
    List<String> settings =
        new ArrayList<>(List.of("objective=" + objective, "epochs=1", "sampling.size=20x12"));
    if (!objective.equals("rwr")) {
      settings.add("preferences=" + preferences("20x12"));
    }
    Path folder = finetune("run", settings.toArray(String[]::new));
    try (Safetensors file = Safetensors.open(folder.resolve("model/" + LoraFile.NAME))) {
      String b = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight";
      assertTrue(Arrays.stream(file.doubles(b)).anyMatch(v -> v != 0));
    }
    BufferedImage drawn = PngImages.read(folder.resolve("images/training-after/000.png"));
    assertEquals("20x12", drawn.getWidth() + "x" + drawn.getHeight());
  }

  @Test
  void evaluatesAndFindsLikelihoods() throws IOException {
    succeed("evaluate", "--model", FOLDER, "--prompt", "a cat", "--samples", "2", "--steps", "2");
    assertTrue(out.toString().contains("reward"), out::toString);
    Path image = temporary.resolve("image.png");
    PngImages.write(image, new BufferedImage(16, 12, BufferedImage.TYPE_INT_RGB));
    String[] line = {
      "likelihood",
      image.toString(),
      "--model",
      FOLDER,
      "--steps",
      "2",
      "--size",
      "16x12",
      "--probes",
      "2",
      "--draws",
      "2",
      "--tolerance",
      "0.5"
    };
    succeed(line);
    assertTrue(out.toString().contains("image.png"), out::toString);
  }

  @Test
  void imagesHaveOtherSizes() {
    drawn("own", "--model", FOLDER);
    drawn("wide", "--model", FOLDER, "--size", "26x18");
    BufferedImage own = PngImages.read(temporary.resolve("own.png"));
    BufferedImage wide = PngImages.read(temporary.resolve("wide.png"));
    assertEquals(10, wide.getWidth() - own.getWidth());
    assertEquals(2, wide.getHeight() - own.getHeight());
    refused("27", "multiple of 2, the pixels of a latent, got 27");
    refused("26x27", "got 26x27\nhint: for example 26x28");
    refused("wide", "expected a side from 1 to 65536, or width and height, got 'wide'");
    refused("0x8", "or width and height, got '0x8'");
    assertEquals(ExitCode.USAGE, run("sample", "--prompt", "camera", "--size", "32"));
    assertTrue(err.toString().contains("icons have 16"), err::toString);
  }

  private void refused(String size, String message) {
    assertEquals(ExitCode.USAGE, run("sample", "--prompt", "x", "--model", FOLDER, "--size", size));
    assertTrue(err.toString().contains(message), err::toString);
  }

  /** The U-Net is trained further on latents; everything else of the folder stays. */
  @Test
  void pretrainGoesOnWithAPipeline() throws IOException {
    Path data = Files.createDirectory(temporary.resolve("data"));
    for (int i = 0; i < 3; i++) {
      BufferedImage image = new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB);
      image.setRGB(i, i, 0xFF8000);
      PngImages.write(data.resolve("dot_" + i + ".png"), image);
    }
    String[] own = {
      "data=" + data,
      "base=" + FOLDER,
      "steps=2",
      "batch_size=2",
      "warmup=1",
      "sample_every=0",
      "sampling.steps=2",
      "evaluation_samples=2"
    };
    Path whole = temporary.resolve("whole");
    succeed(settings(List.of("pretrain", "--out", whole.toString()), own));
    Path model = whole.resolve("model");
    try (Safetensors before = Safetensors.open(Path.of(FOLDER, UNET));
        Safetensors after = Safetensors.open(model.resolve(UNET))) {
      assertEquals(before.names(), after.names());
      assertFalse(Arrays.equals(before.floats("conv_in.weight"), after.floats("conv_in.weight")));
    }
    String vae = "vae/diffusion_pytorch_model.safetensors";
    assertArrayEquals(
        Files.readAllBytes(Path.of(FOLDER, vae)), Files.readAllBytes(model.resolve(vae)));
    assertEquals("dot 0\ndot 1\ndot 2\n", Files.readString(model.resolve("prompts.txt")));
    drawn("pretrained", "--model", model.toString());
    assertEquals(
        ExitCode.USAGE,
        run(settings(List.of("pretrain", "--out", "x"), "sampling.size=8")),
        err::toString);
  }
}
