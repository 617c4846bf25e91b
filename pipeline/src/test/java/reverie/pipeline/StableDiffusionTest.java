// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.io.Safetensors;

class StableDiffusionTest {
  @TempDir private Path temporary;
  private Path folder;

  @BeforeEach
  void copy() throws IOException {
    folder = Samples.copy("sd2_tiny", temporary.resolve("sd"));
  }

  @Test
  void whatIsWrittenIsWhatDiffusersWrote() throws IOException {
    Path written = temporary.resolve("written");
    try (StableDiffusion model = StableDiffusion.load(folder, Device.cpu())) {
      model.save(written, DType.F32);
    }
    List<Path> files;
    try (Stream<Path> walk = Files.walk(folder)) {
      files = walk.filter(Files::isRegularFile).map(folder::relativize).sorted().toList();
    }
    try (Stream<Path> walk = Files.walk(written)) {
      assertEquals(
          files, walk.filter(Files::isRegularFile).map(written::relativize).sorted().toList());
    }
    for (Path file : files) {
      assertArrayEquals(
          Files.readAllBytes(folder.resolve(file)),
          Files.readAllBytes(written.resolve(file)),
          file::toString);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F16", "BF16"})
  void halfPrecisionIsWrittenAndReadAgain(DType dtype) throws IOException {
    Path written = temporary.resolve("written");
    try (StableDiffusion model = StableDiffusion.load(folder, Device.cpu())) {
      model.save(written, dtype);
    }
    try (StableDiffusion model = StableDiffusion.load(written, Device.cpu());
        Safetensors exact =
            Safetensors.open(folder.resolve("vae/diffusion_pytorch_model.safetensors"));
        Safetensors half =
            Safetensors.open(written.resolve("vae/diffusion_pytorch_model.safetensors"))) {
      assertEquals(dtype, half.dtype("decoder.conv_in.bias"));
      double[] expected = exact.doubles("decoder.conv_in.bias");
      double[] got =
          model.autoencoder().parameters().get("decoder.conv_in.bias").value().toDoubles();
      for (int i = 0; i < expected.length; i++) {
        assertEquals(dtype.round(expected[i]), got[i], 0);
      }
    }
    String name = dtype == DType.F16 ? "float16" : "bfloat16";
    assertTrue(
        Files.readString(written.resolve("text_encoder/config.json"))
            .contains("\"torch_dtype\": \"" + name + "\""));
  }

  @Test
  void anOldFolderIsWrittenWithTodaysNames() throws IOException {
    Path written = temporary.resolve("written");
    try (StableDiffusion model = StableDiffusion.load(Samples.path("sd1_tiny"), Device.cpu())) {
      model.save(written, DType.F32);
    }
    try (Safetensors vae =
        Safetensors.open(written.resolve("vae/diffusion_pytorch_model.safetensors"))) {
      assertTrue(vae.names().contains("decoder.mid_block.attentions.0.to_out.0.weight"));
      assertFalse(vae.names().contains("decoder.mid_block.attentions.0.proj_attn.weight"));
    }
    for (String same :
        List.of("model_index.json", "vae/config.json", "scheduler/scheduler_config.json")) {
      assertArrayEquals(
          Files.readAllBytes(Samples.path("sd1_tiny").resolve(same)),
          Files.readAllBytes(written.resolve(same)));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "StableDiffusionXLPipeline, second text encoder",
    "StableDiffusion3Pipeline, is a transformer",
    "FluxPipeline, FLUX is a transformer",
    "StableDiffusionInpaintPipeline, text-to-image pipeline of the same model",
    "KandinskyPipeline, supported are Stable Diffusion 1.x and 2.x"
  })
  void otherPipelinesAreRefusedByName(String name, String why) throws IOException {
    Samples.edit(
        folder.resolve("model_index.json"), "\"StableDiffusionPipeline\"", '"' + name + '"');
    String message = failure();
    assertTrue(message.contains("got " + name), message);
    assertTrue(message.contains(why), message);
  }

  @Test
  void missingPartsAreNamed() throws IOException {
    Files.move(folder.resolve("vae"), folder.resolve("elsewhere"));
    Samples.edit(folder.resolve("model_index.json"), "\"tokenizer\"", "\"something\"");
    assertTrue(failure().contains("missing [tokenizer, vae]"), failure());
  }

  @Test
  void picklesAreRefusedWithWhatToDo() throws IOException {
    Files.move(
        folder.resolve("text_encoder/model.safetensors"),
        folder.resolve("text_encoder/pytorch_model.bin"));
    assertTrue(failure().contains("only [pytorch_model.bin]"), failure());
    assertTrue(failure().contains("save_pretrained"), failure());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "text_encoder/config.json | \"vocab_size\": 914 | \"vocab_size\": 900 | ids below"
            + " vocab_size 900",
        "text_encoder/config.json | \"hidden_act\": \"gelu\" | \"hidden_act\": \"relu\" |"
            + " hidden_act",
        "text_encoder/config.json | \"num_attention_heads\": 3 | \"num_attention_heads\": 5 |"
            + " divides hidden_size 24",
        "text_encoder/config.json | \"max_position_embeddings\": 77 | \"max_position_embeddings\":"
            + " 76 | at most max_position_embeddings 76",
        "unet/config.json | \"cross_attention_dim\": 24 | \"cross_attention_dim\": 32 | expected"
            + " cross_attention_dim 24",
        "unet/config.json | \"in_channels\": 4 | \"in_channels\": 9 | in_channels and out_channels"
            + " 4",
        "text_encoder/config.json | \"hidden_act\" | \"use_attention_mask\": true, \"hidden_act\" |"
            + " use_attention_mask",
        "unet/config.json | \"class_embed_type\": null | \"class_embed_type\": \"timestep\" | class"
            + " labels",
        "vae/config.json | DownEncoderBlock2D | AttnDownEncoderBlock2D | down_block_types",
        "vae/config.json | 0.18215 | -1 | scaling_factor: expected a positive number",
        "model_index.json | CLIPTextModel | T5EncoderModel | text_encoder: expected one of"
            + " [CLIPTextModel]",
        "vae/config.json | \"layers_per_block\": 1 | \"layers_per_block\": 2 | missing"
      })
  void partsThatDoNotFitAreNamed(String file, String from, String to, String why)
      throws IOException {
    Samples.edit(folder.resolve(file), from, to);
    String message = failure();
    assertTrue(message.contains(why), message);
  }

  @Test
  void aSafetyCheckerIsLeftAsideWithAWord() throws IOException {
    assertEquals(List.of(), PipelineFolder.open(folder).notes());
    String index = Files.readString(folder.resolve("model_index.json"));
    Files.writeString(
        folder.resolve("model_index.json"),
        index.replaceFirst(
            "(\"safety_checker\": \\[)\\s*null,\\s*null",
            "$1\"stable_diffusion\", \"StableDiffusionSafetyChecker\""));
    assertTrue(
        PipelineFolder.open(folder).notes().getFirst().contains("safety checker is left aside"));
    // What is written names no part that is not there, or diffusers would look for it.
    Path written = temporary.resolve("written");
    PipelineFolder.open(folder).copyTo(written, DType.F32);
    assertEquals(index, Files.readString(written.resolve("model_index.json")));
  }

  private String failure() {
    ReverieException e =
        assertThrows(
            ReverieException.class, () -> StableDiffusion.load(folder, Device.cpu()).close());
    return e.getMessage();
  }
}
