// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static reverie.app.onnx.OnnxWriter.ANY;
import static reverie.app.onnx.OnnxWriter.FLOAT;
import static reverie.app.onnx.OnnxWriter.INT64;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.config.FinetuneConfig;
import reverie.app.onnx.OnnxWriter;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Images;
import reverie.rl.reward.RewardBatch;

/** Every example of docs/rewards.md: configurations are read, ONNX models are run. */
class RewardsPageTest {
  private static final Pattern BLOCK = Pattern.compile("(?s)```(\\w*)\\n(.*?)```");
  private static final Pattern SET = Pattern.compile("--set (?:'([^']+)'|(\\S+))");

  @TempDir Path folder;

  private static List<String> blocks(String language) throws IOException {
    Matcher found = BLOCK.matcher(Files.readString(Path.of("../docs/rewards.md")));
    List<String> blocks = new ArrayList<>();
    while (found.find()) {
      if (found.group(1).equals(language)) {
        blocks.add(found.group(2));
      }
    }
    return blocks;
  }

  @Test
  void everyKindIsConfigured() throws IOException {
    Set<Object> kinds = new TreeSet<>();
    for (String yaml : blocks("yaml")) {
      if (yaml.startsWith("reward:")) {
        Path file = Files.writeString(folder.resolve("config.yaml"), yaml);
        var reward = FinetuneConfig.READER.read(null, file, List.of()).value().reward();
        kinds.add(reward.kind().getClass().getName());
      }
    }
    for (String shell : blocks("")) {
      Matcher setting = SET.matcher(shell);
      while (setting.find()) {
        String value = setting.group(1) == null ? setting.group(2) : setting.group(1);
        var config = FinetuneConfig.READER.read(null, null, List.of(value)).value();
        kinds.add(config.reward().kind().getClass().getName());
      }
    }
    Set<Object> all = new TreeSet<>();
    RewardKind.byKey().values().forEach(kind -> all.add(kind.getName()));
    assertEquals(all, kinds);
  }

  @Test
  void everyOnnxModelScores() throws Exception {
    writeModels();
    List<String> specs =
        blocks("yaml").stream().filter(yaml -> yaml.contains("\nmodels:")).toList();
    assertEquals(4, specs.size());
    byte[] pixels = new byte[2 * 64 * 48 * 3];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (byte) (i / (64 * 48 * 3) * 100 + i % 3 * 20);
    }
    RewardBatch batch =
        new RewardBatch(
            new Images(pixels, 2, 64, 48, 3),
            new float[pixels.length],
            List.of(new Prompt("a red cat"), new Prompt("a dog")));
    for (String spec : specs) {
      Path file = Files.writeString(folder.resolve("model.yaml"), spec);
      try (OnnxReward reward = new OnnxReward("example", file)) {
        reward.start();
        double[] scores = reward.score(batch);
        assertTrue(Double.isFinite(scores[0]) && scores[0] != scores[1], spec);
      }
    }
  }

  /** Models with the names, inputs and outputs of those that people have. */
  private void writeModels() throws IOException {
    float[] table = new float[30522 * 3];
    for (int i = 0; i < table.length; i++) {
      table[i] = (float) Math.sin(i);
    }
    vision("image_embeds").write(folder.resolve("clip-vision.onnx"));
    vision("image_embeds")
        .input("input_ids", INT64, ANY, 77)
        .input("attention_mask", INT64, ANY, 77)
        .output("text_embeds", FLOAT, ANY, 3)
        .weights("table", table, 30522, 3)
        .node("Gather", List.of("table", "input_ids"), "tokens")
        .node("ReduceMean", List.of("tokens"), "text_embeds", "axes=[1]", "keepdims=0")
        .write(folder.resolve("clip.onnx"));
    for (String name : List.of("quality", "reward")) {
      OnnxWriter model =
          vision("embedding")
              .output(name, FLOAT, ANY, 1)
              .weights("w", new float[] {1, 2, 3}, 3, 1)
              .node("MatMul", List.of("embedding", "w"), name);
      if (name.equals("reward")) {
        model.input("input_ids", INT64, ANY, 35).input("attention_mask", INT64, ANY, 35);
      }
      model.write(folder.resolve(name.equals("reward") ? "image-reward.onnx" : "quality.onnx"));
    }
    new OnnxWriter()
        .input("x", FLOAT, ANY, 3)
        .output("aesthetic", FLOAT, ANY, 1)
        .weights("w", new float[] {3, 1, -2}, 3, 1)
        .node("MatMul", List.of("x", "w"), "aesthetic")
        .write(folder.resolve("head.onnx"));
    Path clip = Path.of("../pipeline/src/test/resources/reverie/pipeline/sd2_tiny/tokenizer");
    Path to = Files.createDirectories(folder.resolve("clip-tokenizer"));
    try (Stream<Path> files = Files.list(clip)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(file.getFileName().toString()));
      }
    }
    Path bert = Files.createDirectories(folder.resolve("bert"));
    try (var json =
        RewardsPageTest.class.getResourceAsStream("/all-minilm-l6-v2-q-tokenizer.json")) {
      Files.copy(json, bert.resolve("tokenizer.json"));
    }
  }

  private static OnnxWriter vision(String embedding) {
    return new OnnxWriter()
        .input("pixel_values", FLOAT, ANY, 3, 224, 224)
        .output(embedding, FLOAT, ANY, 3)
        .node("GlobalAveragePool", List.of("pixel_values"), "pooled")
        .node("Flatten", List.of("pooled"), embedding, "axis=1");
  }
}
