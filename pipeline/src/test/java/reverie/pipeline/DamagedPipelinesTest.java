// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.params.provider.Arguments.argumentSet;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.io.Safetensors;

/** Folders as downloads, other programs and other people leave them: one clear error for each. */
class DamagedPipelinesTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";
  private static final String VAE = "vae/diffusion_pytorch_model.safetensors";
  private static final String INDEX = UNET + ".index.json";
  private static final String SHARD = "unet/diffusion_pytorch_model-00001-of-00001.safetensors";

  @TempDir private Path temporary;

  private interface Damage {
    void doTo(Path folder) throws IOException;
  }

  static List<Arguments> damages() {
    return List.of(
        damage("no index", f -> Files.delete(f.resolve("model_index.json")), "model_index.json"),
        damage(
            "an index that is no JSON",
            f -> Files.writeString(f.resolve("model_index.json"), "{\"_class_name\": "),
            "model_index.json"),
        damage(
            "an empty index",
            f -> Files.writeString(f.resolve("model_index.json"), "{}"),
            "no _cl"),
        damage("no scheduler", f -> delete(f.resolve("scheduler")), "missing [scheduler]"),
        damage(
            "no configuration of the scheduler",
            f -> Files.delete(f.resolve("scheduler/scheduler_config.json")),
            "scheduler_config.json"),
        damage(
            "an unknown key of the scheduler",
            f ->
                Samples.edit(
                    f.resolve("scheduler/scheduler_config.json"),
                    "\"beta_end\"",
                    "\"beta_bend\": 3, \"beta_end\""),
            "beta_bend"),
        damage("no configuration", f -> Files.delete(f.resolve("vae/config.json")), "config.json"),
        damage("no weights", f -> Files.delete(f.resolve(VAE)), "got no such file"),
        damage(
            "only pickles",
            f -> Files.move(f.resolve(UNET), f.resolve("unet/diffusion_pytorch_model.bin")),
            "only [diffusion_pytorch_model.bin]"),
        damage("truncated weights", f -> truncate(f.resolve(VAE)), VAE),
        damage("a file of zeros", f -> Files.write(f.resolve(VAE), new byte[100]), VAE),
        damage(
            "parts without their index",
            f -> Files.move(f.resolve(UNET), f.resolve(SHARD)),
            "got 1 parts without their index"),
        damage("a truncated part", f -> truncate(sharded(f, null)), SHARD),
        damage(
            "a missing part",
            f -> Files.delete(sharded(f, null)),
            "the index names it; the download may be incomplete"),
        damage(
            "an index that points outside",
            f -> sharded(f, "../vae/diffusion_pytorch_model.safetensors"),
            "expected safetensors files beside it"),
        damage("an index of another model", f -> sharded(f, "other.safetensors"), "does not exist"),
        damage(
            "weights of another model",
            f -> Files.write(f.resolve(VAE), Files.readAllBytes(f.resolve(UNET))),
            "belong to a model with another configuration"),
        damage(
            "no vocabulary",
            f -> Files.delete(f.resolve("tokenizer/vocab.json")),
            "expected vocab.json and merges.txt, or tokenizer.json"),
        damage(
            "a vocabulary without the end of a text",
            f -> Samples.edit(f.resolve("tokenizer/vocab.json"), "<|endoftext|>", "<|end|>"),
            "<|endoftext|>"),
        damage(
            "a vocabulary that is too large",
            f ->
                Samples.edit(
                    f.resolve("tokenizer/vocab.json"),
                    "\"<|endoftext|>\"",
                    "\"longer\": 5000, \"<|endoftext|>\""),
            "the id 5000 in the tokenizer's vocabulary"),
        damage(
            "merges of another vocabulary",
            f -> Files.writeString(f.resolve("tokenizer/merges.txt"), "#version: 0.2\nzq xj\n"),
            "zq"),
        damage(
            "the U-Net of SDXL",
            f ->
                Samples.edit(
                    f.resolve("unet/config.json"),
                    "{\n",
                    "{\n\"addition_embed_type\": \"text_time\",\n"
                        + "\"addition_time_embed_dim\": 8,\n"
                        + "\"projection_class_embeddings_input_dim\": 72,\n"),
            "addition_embed_type"));
  }

  private static Arguments damage(String name, Damage damage, String message) {
    return argumentSet(name, damage, message);
  }

  @ParameterizedTest
  @MethodSource("damages")
  void isNamed(Damage damage, String message) throws IOException {
    Path folder = Samples.copy("sd2_tiny", temporary.resolve("folder"));
    damage.doTo(folder);
    long before = Device.cpu().liveBytes();
    ReverieException e =
        assertThrows(
            ReverieException.class, () -> StableDiffusion.load(folder, Device.cpu()).close());
    assertTrue(e.getMessage().contains(message), e::getMessage);
    assertTrue(e.getMessage().contains("hint:"), e::getMessage);
    assertEquals(before, Device.cpu().liveBytes(), "memory that stays");
  }

  /** Values that are too large for their type come as infinities: the image is not finite then. */
  @ParameterizedTest
  @MethodSource("notFinite")
  void imagesThatAreNotFiniteAreRefused(float value) throws IOException {
    Path folder = Samples.copy("sd2_tiny", temporary.resolve("folder"));
    rewrite(folder.resolve(VAE), "decoder.conv_in.bias", value);
    try (StableDiffusion model = StableDiffusion.load(folder, Device.cpu());
        Scope _ = Scope.open("test")) {
      ReverieException e =
          assertThrows(ReverieException.class, () -> model.decode(Device.cpu().zeros(1, 8, 8, 4)));
      assertTrue(e.getMessage().contains("image 0 of 1 holds NaN"), e::getMessage);
      assertTrue(e.getMessage().contains("autoencoder's weights are damaged"), e::getMessage);
    }
  }

  static Stream<Float> notFinite() {
    return Stream.of(Float.NaN, Float.POSITIVE_INFINITY);
  }

  private static void rewrite(Path path, String name, float first) {
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
    try (Safetensors file = Safetensors.open(path)) {
      for (String tensor : file.names()) {
        float[] values = file.floats(tensor);
        if (tensor.equals(name)) {
          values[0] = first;
        }
        entries.put(tensor, new Safetensors.Entry(DType.F32, file.shape(tensor), values));
      }
    }
    Safetensors.write(path, entries, Map.of("format", "pt"));
  }

  private static void truncate(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(bytes, bytes.length - 1000));
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(folder);
  }

  /** The U-Net in one part with an index, or with an index of a file of another name. */
  private static Path sharded(Path folder, String file) throws IOException {
    Path shard = folder.resolve(SHARD);
    Files.move(folder.resolve(UNET), shard);
    String named = file == null ? shard.getFileName().toString() : file;
    StringBuilder map = new StringBuilder("{\"metadata\": {}, \"weight_map\": {");
    try (Safetensors weights = Safetensors.open(shard)) {
      String comma = "";
      for (String name : weights.names()) {
        map.append(comma).append('"').append(name).append("\": \"").append(named).append('"');
        comma = ", ";
      }
    }
    Files.writeString(folder.resolve(INDEX), map.append("}}").toString());
    return shard;
  }
}
