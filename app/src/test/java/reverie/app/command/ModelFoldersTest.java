// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.ImageSize;
import reverie.app.data.PngImages;
import reverie.app.model.BaseModels;
import reverie.app.model.LoadedModel;
import reverie.app.model.ModelFolder;
import reverie.app.text.CachedEncoder;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/** Folders of other people's models, as diffusers lays them out: each works or is refused. */
class ModelFoldersTest extends CommandTest {
  /** What the model that ships takes: the width of its text encoder. */
  private static final int WIDTH = CachedEncoder.miniLm().dimensions();

  private static final String TEXT =
      "\"_class_name\": \"UNet2DConditionModel\", \"down_block_types\": [\"CrossAttnDownBlock2D\"],"
          + " \"up_block_types\": [\"CrossAttnUpBlock2D\"], \"cross_attention_dim\": ";

  private static final String PLAIN =
      "\"_class_name\": \"UNet2DModel\", \"down_block_types\": [\"DownBlock2D\"],"
          + " \"up_block_types\": [\"UpBlock2D\"]";

  @TempDir Path folder;

  /** A model that all commands take. */
  private enum Kind {
    UNCONDITIONAL(3, PLAIN, "", "objective=ddpo_is"),
    GREY(1, PLAIN, "", "objective=diffusion_dpo"),
    CLASSES(3, PLAIN + ", \"num_class_embeds\": 3", "2", "objective=dpok"),
    GREY_CLASSES(1, PLAIN + ", \"num_class_embeds\": 3", "0", "objective=diffusion_dpo"),
    TEXT(3, ModelFoldersTest.TEXT + WIDTH, "cat", "objective=rwr", "ema.decay=0.5"),
    GREY_TEXT(1, ModelFoldersTest.TEXT + WIDTH, "cat", "objective=ddpo_is", "lora.rank=2");

    private final int channels;
    private final String json;
    private final String prompt;
    private final List<String> settings;

    Kind(int channels, String json, String prompt, String... settings) {
      this.channels = channels;
      this.json = json;
      this.prompt = prompt;
      this.settings = List.of(settings);
    }
  }

  @ParameterizedTest
  @EnumSource
  void everyCommandTakes(Kind kind) throws IOException {
    boolean top = kind == Kind.UNCONDITIONAL || kind == Kind.GREY_CLASSES;
    String model = write(top ? "" : "unet", kind.channels, kind.json).toString();
    if (!kind.prompt.equals("") && kind.json.contains("cross")) {
      Files.writeString(
          folder.resolve("model/reverie.json"),
          "{\"text_encoder\": \"" + CachedEncoder.miniLm().identity() + "\"}");
      Files.writeString(folder.resolve("model/prompts.txt"), "cat\ncamera\n");
    }
    Path picture = folder.resolve("picture.png");
    List<String> sample = new ArrayList<>(List.of("sample", "--model", model, "--steps", "2"));
    sample.addAll(List.of("--images", "2", "--scale", "1", "--out", picture.toString()));
    if (!kind.prompt.isEmpty()) {
      sample.addAll(List.of("--prompt", kind.prompt));
    }
    assertEquals(0, run(sample), err::toString);
    BufferedImage drawn = ImageIO.read(picture.toFile());
    assertTrue(drawn.getWidth() > 2 * 8, "two images of 8 pixels");
    String file = Files.readString(picture, StandardCharsets.ISO_8859_1);
    assertTrue(file.contains("Device\0\0\0\0\0" + Device.cpu().describe()), "says the kernels");
    assertTrue(file.contains("./reverie sample --model "), "says the command");

    List<String> evaluate = List.of("--steps", "2", "--samples", "4", "--batch", "2");
    assertEquals(0, run("evaluate", "--model", model, evaluate), err::toString);
    assertTrue(out.toString().contains("n = 4"), out::toString);

    List<String> settings = new ArrayList<>(kind.settings);
    if (kind.settings.contains("objective=diffusion_dpo")) {
      Path pairs = folder.resolve("pairs");
      List<String> eight = List.of("--steps", "2", "--pairs", "8", "--out", pairs.toString());
      assertEquals(0, run("preferences", "--model", model, eight), err::toString);
      settings.add("preferences=" + pairs.resolve("preferences.jsonl"));
    }
    Path run = folder.resolve("run");
    assertEquals(0, finetune(model, run, settings), err::toString);
    String words = kind.prompt.isEmpty() ? "" : "--prompt " + kind.prompt + " ";
    assertTrue(
        out.toString().contains("./reverie sample " + words.replaceAll("[0-9]", "0") + "--model "),
        () -> "suggests a prompt of the model: " + out);
    String weights = "diffusion_pytorch_model.safetensors";
    Path before = Path.of(model, top ? "" : "unet", weights);
    assertTrue(Files.mismatch(before, run.resolve("model/unet").resolve(weights)) >= 0);
    sample.set(2, run.resolve("model").toString());
    assertEquals(0, run(sample), err::toString);
    if (kind != Kind.GREY_CLASSES) {
      return;
    }
    Path photo = folder.resolve("photo.png");
    PngImages.write(photo, new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB));
    List<String> likelihood = new ArrayList<>(List.of("likelihood", "--model", model));
    likelihood.addAll(List.of("--steps", "3", "--draws", "2", "--tolerance", "0.1"));
    likelihood.addAll(List.of("--probes", "2", "--prompt", kind.prompt, photo.toString()));
    assertEquals(0, run(likelihood), err::toString);
  }

  /** The drawn class is the one that was asked for: the same seed, other labels. */
  @Test
  void aClassIsAskedForByItsNumber() throws IOException {
    String model = write("unet", 3, Kind.CLASSES.json).toString();
    List<byte[]> pictures = new ArrayList<>();
    for (String number : List.of("0", "1")) {
      Path picture = folder.resolve(number + ".png");
      List<String> line =
          List.of("--prompt", number, "--steps", "2", "--out", picture.toString(), "--images", "1");
      assertEquals(0, run("sample", "--model", model, line), err::toString);
      pictures.add(Files.readAllBytes(picture));
    }
    assertFalse(Arrays.equals(pictures.getFirst(), pictures.getLast()));
    assertRefused(model, ExitCode.BAD_INPUT, "from 0 to 2", "--prompt", "3");
    assertRefused(model, ExitCode.BAD_INPUT, "from 0 to 2", "--prompt", "cat");
    assertRefused(model, ExitCode.BAD_INPUT, "from 0 to 2", "--prompt", "-1");
    assertRefused(model, ExitCode.USAGE, "no prompt was given");
    assertRefused(
        model, ExitCode.USAGE, "takes no prompts in words", "--prompt", "1", "--guidance", "2");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "4 | PLAIN | it takes 4 channels and gives 4 | Stable Diffusion folders",
        "4 | TEXT WIDTH | it takes 4 channels and gives 4 | Stable Diffusion folders",
        "2 | PLAIN | it takes 2 channels | 1 or 3 channels",
        "3 | PLAIN, \"out_channels\": 6 | takes 3 channels and gives 6 | learned variances",
        "3 | TEXT 768 | cross_attention_dim is [768] | Stable Diffusion folders",
        "3 | TEXT WIDTH | does not say which text encoder | text_encoder",
        "3 | TEXT WIDTH, \"num_class_embeds\": 3 | classes and text at once | UNet2DModel",
        "3 | PLAIN, \"class_embed_type\": \"timestep\" | kind timestep | UNet.forward",
        "3 | PLAIN, \"class_embed_type\": \"identity\" | kind identity | UNet.forward",
        "3 | PLAIN, \"sample_size\": null | sample_size is [] | set sample_size",
        "3 | PLAIN, \"sample_size\": 1048576 | sample_size is [1048576 | set sample_size",
        "3 | HALVED, \"sample_size\": 9 | 9 is asked for | sample_size",
      })
  void whatCannotBeDrawnIsRefusedOnOpening(int channels, String json, String what, String hint)
      throws IOException {
    String model =
        write(
                "unet",
                channels,
                json.replace("PLAIN", PLAIN)
                    .replace("TEXT WIDTH", TEXT + WIDTH)
                    .replace("TEXT", TEXT)
                    .replace("HALVED", PLAIN.replaceAll("\"(\\w+Block2D)\"", "\"$1\", \"$1\"")))
            .toString();
    assertRefused(model, ExitCode.BAD_INPUT, what, "--prompt", "cat");
    assertTrue(err.toString().contains(hint), err::toString);
    assertEquals(ExitCode.BAD_INPUT, run("evaluate", "--model", model, List.of()), err::toString);
    Path run = folder.resolve("run");
    assertEquals(ExitCode.BAD_INPUT, finetune(model, run, List.of()), err::toString);
    assertFalse(Files.exists(run), "what cannot work leaves no folder behind");
  }

  @Test
  void aModelMayDrawImagesThatAreNotSquare() throws IOException {
    String model = write("unet", 3, PLAIN + ", \"sample_size\": [8, 16]").toString();
    assertEquals(0, run("sample", "--model", model, quick()), err::toString);
    Path run = folder.resolve("run");
    assertEquals(0, finetune(model, run, List.of("objective=ddpo_is")), err::toString);
    try (ModelFolder tuned = ModelFolder.read(run.resolve("model"), Device.cpu(), DType.F32)) {
      assertEquals(new ImageSize(16, 8), BaseModels.size(tuned));
    }
  }

  @Test
  void aGreyModelSeesTheMeanOfTheColours() throws IOException {
    String model = write("unet", 1, PLAIN).toString();
    var sampling =
        new FinetuneConfig.Sampling(
            2, FinetuneConfig.Scheduler.DDIM, Optional.of(1.0), false, 1, 4, ImageSize.OWN);
    try (LoadedModel loaded =
            LoadedModel.read(model, sampling, CachedEncoder.miniLm(), Device.cpu());
        Scope _ = Scope.open("test")) {
      Tensor picture = Device.cpu().tensor(new float[] {0, 0.25f, 0.5f, 1, -1, 0.75f}, 1, 1, 2, 3);
      assertArrayEquals(new float[] {0.25f, 0.25f}, loaded.encode(picture).toFloats());
    }
  }

  /** Latents of three channels look like images. */
  @Test
  void aPipelineOfMorePartsIsNotTakenForOneOfImages() throws IOException {
    Path model = write("unet", 3, PLAIN);
    String index =
        "{\"_class_name\": \"LDMPipeline\", \"unet\": [\"diffusers\", \"UNet2DModel\"]%s}";
    Files.writeString(
        model.resolve("model_index.json"),
        String.format(Locale.ROOT, index, ", \"vqvae\": [\"diffusers\", \"VQModel\"]"));
    assertRefused(model.toString(), ExitCode.BAD_INPUT, "got LDMPipeline");
    assertTrue(err.toString().contains("VQModel are not supported"), err::toString);
    Files.writeString(model.resolve("model_index.json"), String.format(Locale.ROOT, index, ""));
    assertEquals(0, run("sample", "--model", model.toString(), quick()), err::toString);
  }

  private List<String> quick() {
    return List.of("--steps", "2", "--images", "1", "--out", folder.resolve("q.png").toString());
  }

  private void assertRefused(String model, int code, String what, String... more) {
    assertEquals(code, run("sample", "--model", model, List.of(more)), err::toString);
    String[] lines =
        err.toString().lines().filter(l -> !l.startsWith("computing")).toArray(String[]::new);
    assertEquals(2, lines.length, err::toString);
    assertTrue(lines[0].contains(what), err::toString);
    assertTrue(lines[1].startsWith("hint: "), err::toString);
  }

  /** A folder of diffusers with random weights. */
  private Path write(String unet, int channels, String json) throws IOException {
    Path model = folder.resolve("model");
    boolean sized = json.contains("sample_size");
    int levels = json.contains("Block2D\", \"") ? 2 : 1;
    String config =
        String.format(
            Locale.ROOT,
            "{%s, \"in_channels\": %d%s%s, \"block_out_channels\": %s, \"layers_per_block\": 1,"
                + " \"attention_head_dim\": 2, \"norm_num_groups\": 2}",
            json,
            channels,
            json.contains("out_channels\"") ? "" : ", \"out_channels\": " + channels,
            sized ? "" : ", \"sample_size\": 8",
            levels == 2 ? "[4, 4]" : "[4]");
    try (UNet network = UNet.random(UNetConfig.parse(config), Device.cpu(), Rng.of(2))) {
      network.save(model.resolve(unet));
    }
    SchedulerConfig.defaults().write(unet.isEmpty() ? model : model.resolve("scheduler"));
    return model;
  }

  private int finetune(String model, Path run, List<String> settings) {
    List<String> line = new ArrayList<>(List.of("finetune", "--out", run.toString()));
    List<String> all =
        new ArrayList<>(
            List.of(
                "model=" + model,
                "prompts.per_epoch=1",
                "prompts.images_each=2",
                "sampling.steps=2",
                "epochs=1",
                "evaluation.samples=2",
                "evaluation.every_samples=2"));
    all.addAll(settings);
    all.forEach(setting -> line.addAll(List.of("--set", setting)));
    return run(line);
  }

  private int run(String command, String option, String value, List<String> more) {
    List<String> line = new ArrayList<>(List.of(command, option, value));
    line.addAll(more);
    return run(line);
  }
}
