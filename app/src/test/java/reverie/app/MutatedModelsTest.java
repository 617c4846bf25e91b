// SPDX-License-Identifier: Apache-2.0
package reverie.app;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.config.FinetuneConfig;
import reverie.app.model.ModelFolder;
import reverie.app.model.ModelPrompts;
import reverie.diffusion.SchedulerConfig;
import reverie.pipeline.PipelineFolder;
import reverie.pipeline.text.ClipTextConfig;
import reverie.pipeline.text.ClipTokenizer;
import reverie.pipeline.vae.AutoencoderConfig;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Shape;
import reverie.tensor.io.Safetensors;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/** What {@link MutatedFilesTest} does, of configurations, prompts and models' folders. */
class MutatedModelsTest {
  private static final Path PIPELINE =
      Path.of("../pipeline/src/test/resources/reverie/pipeline/sd2_tiny");
  @TempDir Path folder;

  @Test
  void aMutatedFileIsReadOrRefused() throws IOException {
    FileMutants.trySome(folder, formats());
  }

  private List<FileMutants.Format> formats() throws IOException {
    Path tokenizer = Files.createDirectories(folder.resolve("tokenizer"));
    for (String file : List.of("merges.txt", "vocab.json", "tokenizer_config.json")) {
      Files.copy(PIPELINE.resolve("tokenizer").resolve(file), tokenizer.resolve(file));
    }
    Path pipeline = Files.createDirectories(folder.resolve("pipeline"));
    for (String part : List.of("unet", "vae", "text_encoder", "tokenizer", "scheduler")) {
      Files.createDirectories(pipeline.resolve(part));
    }
    Path shards = Files.createDirectories(folder.resolve("shards"));
    for (String name : List.of("a", "b")) {
      Safetensors.write(
          shards.resolve(name + ".safetensors"),
          Map.of(name, new Safetensors.Entry(DType.F32, Shape.of(2), 1, 2)),
          Map.of());
    }
    Path checkpoint = folder.resolve("seed.safetensors");
    Safetensors.writeChecked(
        checkpoint,
        Map.of("w", new Safetensors.Entry(DType.F32, Shape.of(2, 3), new float[6])),
        Map.of("steps", "3"));
    String small =
        "{\"_class_name\": \"UNet2DModel\", \"sample_size\": 8, \"down_block_types\":"
            + " [\"DownBlock2D\"], \"up_block_types\": [\"UpBlock2D\"], \"block_out_channels\":"
            + " [4], \"layers_per_block\": 1, \"attention_head_dim\": 2, \"norm_num_groups\": 2}";
    Path model = folder.resolve("model");
    try (UNet unet = UNet.random(UNetConfig.parse(small), Device.cpu(), Rng.of(1))) {
      new ModelFolder(unet, SchedulerConfig.defaults(), "", ModelPrompts.UNKNOWN).write(model);
    }
    return List.of(
        new FileMutants.Format(
            "epochs: 3\nprompts:\n  source: model\nsampling: {steps: 4, eta: 1}\n"
                + "reward:\n  name: jpeg_compressibility\nseed: 7\n",
            "mine.yaml",
            file -> FinetuneConfig.READER.read(null, file, List.of())),
        new FileMutants.Format(
            "a cat\n# not a prompt\n\nein Käse\n",
            "prompts.txt",
            file -> PromptSource.fromFile(file).all()),
        of("unet/config.json", UNetConfig::read),
        of("vae/config.json", AutoencoderConfig::read),
        of("text_encoder/config.json", ClipTextConfig::read),
        of("scheduler/scheduler_config.json", SchedulerConfig::read),
        new FileMutants.Format(
            Files.readAllBytes(PIPELINE.resolve("model_index.json")),
            "pipeline/model_index.json",
            _ -> PipelineFolder.open(pipeline)),
        new FileMutants.Format(
            Files.readAllBytes(tokenizer.resolve("tokenizer_config.json")),
            "tokenizer/tokenizer_config.json",
            _ -> ClipTokenizer.read(tokenizer)),
        new FileMutants.Format(
            Files.readAllBytes(tokenizer.resolve("merges.txt")),
            "tokenizer/merges.txt",
            _ -> ClipTokenizer.read(tokenizer)),
        new FileMutants.Format(
            Files.readAllBytes(tokenizer.resolve("vocab.json")),
            "tokenizer/vocab.json",
            _ -> ClipTokenizer.read(tokenizer)),
        new FileMutants.Format(
            "{\"metadata\": {\"total_size\": 16}, \"weight_map\": {\"a\": \"a.safetensors\","
                + " \"b\": \"b.safetensors\"}}",
            "shards/m.safetensors.index.json",
            file -> {
              try (Safetensors opened = Safetensors.open(file)) {
                opened.names().forEach(opened::floats);
              }
            }),
        new FileMutants.Format(
            Files.readAllBytes(checkpoint),
            "checkpoint.safetensors",
            file -> Safetensors.openChecked(file).close()),
        new FileMutants.Format(
            "{\"text_encoder\": \"a\", \"data\": \"icons\"}",
            "model/reverie.json",
            _ -> ModelFolder.read(model, Device.cpu(), DType.F32).close()));
  }

  private static FileMutants.Format of(String name, FileMutants.Use use) throws IOException {
    return new FileMutants.Format(Files.readAllBytes(PIPELINE.resolve(name)), name, use);
  }
}
