// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.data.PngImages;
import reverie.tensor.DType;
import reverie.tensor.io.Safetensors;

/** The commands that take a Stable Diffusion folder, on one of 0.3 million random weights. */
class PipelineCommandsTest extends CommandTest {
  private static final Path VECTORS = Path.of("../pipeline/src/test/resources/reverie/pipeline");
  private static final String FOLDER = VECTORS.resolve("sd2_tiny").toString();
  private static final String LORA =
      VECTORS.resolve("sd2_tiny_lora_diffusers.safetensors").toString();

  @TempDir private Path temporary;

  private int run(String... arguments) {
    return run(List.of(arguments), "--device", "cpu");
  }

  @Test
  void checkComparesEveryPart() {
    String file = VECTORS.resolve("sd2_tiny.safetensors").toString();
    assertEquals(0, run("check", file, "--pipeline", FOLDER), out::toString);
    for (String part :
        List.of("tokens", "text encoder", "decoding", "encoding", "U-Net", "kohya", "eta 1")) {
      assertTrue(out.toString().contains(part), out::toString);
    }
    assertEquals(
        ExitCode.FAILED_CHECK, run("check", file, "--pipeline", FOLDER, "--tolerance", "1e-12"));
    assertEquals(ExitCode.BAD_INPUT, run("check", file));
    assertTrue(err.toString().contains("add --pipeline FOLDER"), err::toString);
  }

  @Test
  void sampleDrawsByTheAutoencoder() throws IOException {
    List<int[]> images = new ArrayList<>();
    for (List<String> more : List.of(List.<String>of(), List.of("--lora", LORA))) {
      Path image = temporary.resolve("image" + more.size() + ".png");
      List<String> line =
          new ArrayList<>(
              List.of(
                  "sample",
                  "--model",
                  FOLDER,
                  "--prompt",
                  "a photo of a cat",
                  "--images",
                  "2",
                  "--steps",
                  "2",
                  "--guidance",
                  "3",
                  "--out",
                  image.toString(),
                  "--scale",
                  "1"));
      line.addAll(more);
      assertEquals(0, run(line.toArray(String[]::new)), err::toString);
      BufferedImage drawn = PngImages.read(image);
      images.add(
          drawn.getRGB(0, 0, drawn.getWidth(), drawn.getHeight(), null, 0, drawn.getWidth()));
    }
    assertFalse(Arrays.equals(images.getFirst(), images.getLast()));
  }

  /** Both files say the same, and are those that the sampler takes. */
  @Test
  void finetuneWritesAdaptersForOtherTools() throws IOException {
    Path prompts = Files.writeString(temporary.resolve("prompts.txt"), "a cat\na dog\n");
    Path runFolder = temporary.resolve("run");
    List<String> line = new ArrayList<>(List.of("finetune", "--out", runFolder.toString()));
    for (String setting :
        List.of(
            "model=" + FOLDER,
            "prompts.source=" + prompts,
            "prompts.per_epoch=2",
            "prompts.images_each=2",
            "sampling.steps=2",
            "sampling.guidance=2",
            "sampling.batch_size=4",
            "update.batch_size=4",
            "lora.rank=2",
            "ema.decay=0.5",
            "epochs=2",
            "evaluation.samples=2",
            "evaluation.every_samples=2")) {
      line.addAll(List.of("--set", setting));
    }
    assertEquals(0, run(line.toArray(String[]::new)), err::toString);
    Path diffusers = runFolder.resolve("model/pytorch_lora_weights.safetensors");
    try (Safetensors file = Safetensors.open(diffusers)) {
      float[] b =
          file.floats("unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight");
      assertTrue(IntStream.range(0, b.length).anyMatch(i -> b[i] != 0));
    }
    Path kohya = runFolder.resolve("model/kohya_lora_weights.safetensors");
    Path back = temporary.resolve("back.safetensors");
    assertEquals(
        0,
        run(
            "convert",
            FOLDER,
            "--lora",
            kohya.toString(),
            "--lora-format",
            "diffusers",
            "--out",
            back.toString()));
    try (Safetensors one = Safetensors.open(diffusers);
        Safetensors other = Safetensors.open(back)) {
      assertEquals(one.names(), other.names());
      one.names().forEach(n -> assertArrayEquals(one.floats(n), other.floats(n), 1e-6f));
    }
  }

  @Test
  void convertMergesAdaptersAndWritesOtherTypes() {
    Path half = temporary.resolve("half");
    assertEquals(0, run("convert", FOLDER, "--out", half.toString(), "--dtype", "float16"));
    String weights = "unet/diffusion_pytorch_model.safetensors";
    try (Safetensors unet = Safetensors.open(half.resolve(weights))) {
      assertEquals(DType.F16, unet.dtype("conv_in.bias"));
    }
    Path tuned = temporary.resolve("tuned");
    assertEquals(0, run("convert", FOLDER, "--lora", LORA, "--out", tuned.toString()));
    String module = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q";
    try (Safetensors base = Safetensors.open(Path.of(FOLDER, weights));
        Safetensors merged = Safetensors.open(tuned.resolve(weights));
        Safetensors lora = Safetensors.open(Path.of(LORA))) {
      float[] w = base.floats(module + ".weight");
      float[] a = lora.floats("unet." + module + ".lora_A.weight");
      float[] b = lora.floats("unet." + module + ".lora_B.weight");
      int rank = lora.shape("unet." + module + ".lora_A.weight").dim(0);
      int in = a.length / rank;
      for (int i = 0; i < w.length; i++) {
        for (int r = 0; r < rank; r++) {
          w[i] += b[i / in * rank + r] * a[r * in + i % in];
        }
      }
      assertArrayEquals(w, merged.floats(module + ".weight"), 1e-6f);
    }
  }

  @Test
  void convertWritesAdaptersUnderOtherNames() throws IOException {
    Path kohya = temporary.resolve("kohya.safetensors");
    assertEquals(
        0,
        run(
            "convert",
            FOLDER,
            "--lora",
            LORA,
            "--lora-format",
            "kohya",
            "--out",
            kohya.toString()));
    try (Safetensors ours = Safetensors.open(kohya);
        Safetensors theirs = Safetensors.open(VECTORS.resolve("sd2_tiny_lora_kohya.safetensors"))) {
      assertEquals(theirs.names(), ours.names());
      theirs.names().forEach(n -> assertArrayEquals(theirs.floats(n), ours.floats(n), 1e-6f));
    }
    Path back = temporary.resolve("back.safetensors");
    String format = "diffusers";
    assertEquals(
        0,
        run(
            "convert",
            FOLDER,
            "--lora",
            kohya.toString(),
            "--lora-format",
            format,
            "--out",
            back.toString()));
    try (Safetensors ours = Safetensors.open(back);
        Safetensors theirs = Safetensors.open(Path.of(LORA))) {
      assertEquals(theirs.names(), ours.names());
      theirs.names().forEach(n -> assertArrayEquals(theirs.floats(n), ours.floats(n), 1e-6f));
    }
    assertEquals(ExitCode.USAGE, run("convert", FOLDER, "--out", FOLDER));
    Files.writeString(temporary.resolve("model_index.json"), "{\"_class_name\": \"FluxPipeline\"}");
    assertEquals(
        ExitCode.BAD_INPUT, run("convert", temporary.toString(), "--out", back.toString()));
    assertTrue(err.toString().contains("got FluxPipeline"), err::toString);
  }
}
