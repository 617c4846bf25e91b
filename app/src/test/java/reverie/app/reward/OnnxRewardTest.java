// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static reverie.app.onnx.OnnxWriter.ANY;
import static reverie.app.onnx.OnnxWriter.FLOAT;
import static reverie.app.onnx.OnnxWriter.FLOAT16;
import static reverie.app.onnx.OnnxWriter.INT64;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.onnx.OnnxWriter;
import reverie.app.text.MiniLm;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Images;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.ReverieException;

/** Models that the test writes itself, and the one that Reverie comes with. */
class OnnxRewardTest {
  @TempDir Path folder;

  @BeforeEach
  void writeModels() {
    // The mean of each colour.
    new OnnxWriter()
        .input("pixels", FLOAT, ANY, 3, 4, 4)
        .output("colours", FLOAT, ANY, 3)
        .node("GlobalAveragePool", List.of("pixels"), "pooled")
        .node("Flatten", List.of("pooled"), "colours", "axis=1")
        .write(folder.resolve("colours.onnx"));
    // Red + 2 green + 3 blue + 4.
    new OnnxWriter()
        .input("embedding", FLOAT, ANY, 3)
        .output("score", FLOAT, ANY, 1)
        .weights("w", new float[] {1, 2, 3}, 3, 1)
        .weights("b", new float[] {4}, 1)
        .node("Gemm", List.of("embedding", "w", "b"), "score")
        .write(folder.resolve("head.onnx"));
    // CLIP's form: images and tokens to embeddings and their product; only tokens 2 and above
    // count.
    float[] table = new float[30522 * 3];
    for (int i = 0; i < table.length; i++) {
      table[i] = (float) Math.sin(i);
    }
    new OnnxWriter()
        .input("pixel_values", FLOAT, ANY, 3, 4, 4)
        .input("input_ids", INT64, ANY, ANY)
        .output("image_embeds", FLOAT, ANY, 3)
        .output("text_embeds", FLOAT, ANY, 3)
        .output("logits_per_image", FLOAT, ANY, ANY)
        .weights("table", table, 30522, 3)
        .node("GlobalAveragePool", List.of("pixel_values"), "pooled")
        .node("Flatten", List.of("pooled"), "image_embeds", "axis=1")
        .node("Gather", List.of("table", "input_ids"), "tokens")
        .node("ReduceMean", List.of("tokens"), "text_embeds", "axes=[1]", "keepdims=0")
        .node("Transpose", List.of("text_embeds"), "turned", "perm=[1,0]")
        .node("MatMul", List.of("image_embeds", "turned"), "logits_per_image")
        .write(folder.resolve("pair.onnx"));
  }

  private OnnxReward reward(String yaml) {
    try {
      return new OnnxReward("judge", Files.writeString(folder.resolve("judge.yaml"), yaml));
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private double[] scores(String yaml, RewardBatch batch) {
    try (OnnxReward reward = reward(yaml)) {
      reward.start();
      return reward.score(batch);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Images of one colour each. */
  private static RewardBatch batch(int size, int[][] colours, String... prompts) {
    byte[] pixels = new byte[colours.length * size * size * 3];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (byte) colours[i / (size * size * 3)][i % 3];
    }
    return new RewardBatch(
        new Images(pixels, colours.length, size, size, 3),
        new float[pixels.length],
        IntStream.range(0, colours.length).mapToObj(i -> new Prompt(prompts[i])).toList());
  }

  private static RewardBatch two(int size) {
    return batch(size, new int[][] {{255, 0, 51}, {0, 102, 255}}, "a cat", "two dogs");
  }

  @Test
  void aHeadScoresPixels() {
    double[] scores =
        scores(
            """
            models: [{file: colours.onnx, inputs: {pixels: image}}]
            score: {value: colours, index: 1, scale: 10, offset: -1}
            """,
            two(4));
    assertArrayEquals(new double[] {-1, 3}, scores, 1e-6);
  }

  @Test
  void imagesAreResizedCroppedAndNormalized() {
    double[] scores =
        scores(
            """
            image: {size: 6, filter: bicubic, crop: 4, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.5]}
            models: [{file: colours.onnx, inputs: {pixels: image}}]
            score: {value: colours, index: 2}
            """,
            two(32));
    assertArrayEquals(new double[] {(0.2 - 0.5) / 0.5, 1}, scores, 1e-6);
  }

  @Test
  void cropsComeFromTheMiddleAndLayoutsDiffer() {
    byte[] pixels = new byte[6 * 8 * 3];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (byte) i;
    }
    Images images = new Images(pixels, 1, 6, 8, 3);
    OnnxReward reward = reward("");
    for (OnnxSpec.Layout layout : OnnxSpec.Layout.values()) {
      var how = new OnnxSpec.Image(List.of(), null, 4, layout, null, null);
      var value = reward.pixels(images, 0, how);
      boolean first = layout == OnnxSpec.Layout.NCHW;
      assertArrayEquals(first ? new long[] {1, 3, 4, 4} : new long[] {1, 4, 4, 3}, value.shape());
      // Row 1 and column 2 of the image is the first pixel.
      assertEquals(((1 * 8 + 2) * 3 + 1) / 255f, value.data()[first ? 16 : 1], 1e-7);
    }
    // A wide image keeps its shape: the shorter side is what is asked for.
    var how = new OnnxSpec.Image(List.of(3), null, null, null, null, null);
    assertArrayEquals(new long[] {1, 3, 3, 4}, reward.pixels(images, 0, how).shape());
  }

  @Test
  void aChainPutsAHeadOnAnEmbedding() {
    double[] scores =
        scores(
            """
            image: {size: [4, 4]}
            models:
              - {file: colours.onnx, inputs: {pixels: image}, outputs: {colours: embedding}, unit: [embedding]}
              - {file: head.onnx, inputs: {embedding: embedding}}
            score: {value: score}
            """,
            two(8));
    double[] expected = new double[2];
    double[][] colours = {{1, 0, 0.2}, {0, 0.4, 1}};
    for (int i = 0; i < 2; i++) {
      double[] c = colours[i];
      double length = Math.sqrt(c[0] * c[0] + c[1] * c[1] + c[2] * c[2]);
      expected[i] = (c[0] + 2 * c[1] + 3 * c[2]) / length + 4;
    }
    assertArrayEquals(expected, scores, 1e-6);
  }

  @Test
  void pairsCompareAnImageWithItsPrompt() {
    String models =
        """
        image: {size: 4}
        text: {tokenizer: minilm, length: 8}
        models: [{file: pair.onnx, inputs: {pixel_values: image, input_ids: tokens}}]
        """;
    double[] logits = scores(models + "score: {value: logits_per_image}\n", two(4));
    double[] cosines =
        scores(models + "score: {cosine: [image_embeds, text_embeds], scale: 100}\n", two(4));
    double[][] colours = {{1, 0, 0.2}, {0, 0.4, 1}};
    for (int i = 0; i < 2; i++) {
      int[] ids = MiniLm.tokenizer().encode(two(4).prompts().get(i).text());
      assertEquals(4, ids.length);
      double dot = 0;
      double squares = 0;
      for (int d = 0; d < 3; d++) {
        double state = 0;
        for (int t = 0; t < 8; t++) {
          state += Math.sin((t < 4 ? ids[t] : 0) * 3 + d) / 8;
        }
        dot += state * colours[i][d];
        squares += state * state;
      }
      assertEquals(dot, logits[i], 1e-4);
      double length = Math.sqrt(Arrays.stream(colours[i]).map(c -> c * c).sum());
      assertEquals(100 * dot / length / Math.sqrt(squares), cosines[i], 1e-2);
    }
  }

  /** The tokens of CLIP's byte pairs, cut to a length and filled up by what is asked for. */
  @Test
  void clipsTokenizerIsRead() {
    String tokenizer =
        Path.of("../pipeline/src/test/resources/reverie/pipeline/sd2_tiny/tokenizer")
            .toAbsolutePath()
            .toString();
    Tokens tokens = Tokens.of(new OnnxSpec.Text(tokenizer, 6, null), folder.resolve("x.yaml"));
    int[] short_ = tokens.of("a");
    assertArrayEquals(new int[] {1, 1, 1, 0, 0, 0}, tokens.mask("a"));
    assertEquals(6, short_.length);
    assertEquals(short_[3], short_[5]);
    int[] cut = tokens.of("a photo of a cat on the moon with a hat");
    assertEquals(short_[2], cut[5], "the end is kept");
    Tokens padded = Tokens.of(new OnnxSpec.Text(tokenizer, 6, 7), folder.resolve("x.yaml"));
    assertEquals(7, padded.of("a")[5]);
  }

  @Test
  void theModelThatReverieShipsIsAReward() throws IOException {
    try (InputStream model = MiniLm.class.getResourceAsStream("/all-minilm-l6-v2-q.onnx")) {
      Files.copy(model, folder.resolve("minilm.onnx"));
    }
    String text =
        """
        text: {tokenizer: minilm}
        models:
          - file: minilm.onnx
            inputs: {input_ids: tokens, attention_mask: mask, token_type_ids: types}
        """;
    double[] scores = scores(text + "score: {value: last_hidden_state, index: 7}\n", two(4));
    MiniLm encoder = new MiniLm();
    assertEquals(encoder.encode("a cat")[7] / 2, scores[0], 1e-6);
    assertEquals(encoder.encode("two dogs")[7] / 2, scores[1], 1e-6);
    refused(
        "is [1, 4, 384], so that it is not one number",
        text + "score: {value: last_hidden_state}\n");
  }

  @Test
  void halfPrecisionIsConverted() {
    new OnnxWriter()
        .input("pixels", FLOAT16, 1, 3, 4, 4)
        .output("colours", FLOAT16, 1, 3, 1, 1)
        .node("ReduceMean", List.of("pixels"), "colours", "axes=[2,3]", "keepdims=1")
        .write(folder.resolve("half.onnx"));
    double[] scores =
        scores(
            """
            image: {size: 4}
            models: [{file: half.onnx, inputs: {pixels: image}}]
            score: {value: colours, index: 2}
            """,
            two(4));
    assertArrayEquals(new double[] {0.2, 1}, scores, 1e-3);
  }

  @Test
  void nanIsNoScore() {
    new OnnxWriter()
        .input("pixels", FLOAT, ANY, 3, 4, 4)
        .output("bad", FLOAT, ANY, 3, 4, 4)
        .node("Log", List.of("pixels"), "bad")
        .write(folder.resolve("log.onnx"));
    refused(
        "bad gave NaN for the prompt \"a cat\"",
        """
        image: {mean: [2, 2, 2]}
        models: [{file: log.onnx, inputs: {pixels: image}}]
        score: {value: bad, index: 0}
        """);
    // A black image has no length.
    refused(
        "colours and colours gave NaN",
        """
        models: [{file: colours.onnx, inputs: {pixels: image}, unit: [colours]}]
        score: {cosine: [colours, colours]}
        """,
        batch(4, new int[][] {{0, 0, 0}}, "black"));
  }

  private void refused(String part, String yaml) {
    refused(part, yaml, two(4));
  }

  private void refused(String part, String yaml, RewardBatch batch) {
    var error = assertThrows(ReverieException.class, () -> scores(yaml, batch));
    assertTrue(error.getMessage().contains(part), error::getMessage);
    assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
  }

  @Test
  void whatIsWrongInTheFileIsNamed() {
    refused("there are no models", "score: {value: x}");
    refused("there are no models", "");
    String models = "models: [{file: colours.onnx, inputs: {pixels: image}}]\n";
    String score = "score: {value: colours, index: 0}\n";
    refused("unknown key 'scroe'", models + score + "scroe: {value: x}");
    refused("unknown key 'sise'", models + score + "image: {sise: 4}");
    refused("there is no score", models);
    refused("expected 'value', or 'cosine' of two", models + "score: {index: 0}");
    refused("expected 'value', or 'cosine' of two", models + "score: {cosine: [a]}");
    refused("image.size is [0]", models + score + "image: {size: 0}");
    refused("image.std is [0.0, 1.0, 1.0]", models + score + "image: {std: [0, 1, 1]}");
    refused("judge.yaml: ", models + score + "image: {filter: nearest}");
    refused("judge.yaml: ", models + score + "image: {size: many}");
    refused("judge.yaml: ", "models: [{");
    refused("text.tokenizer is missing", models + score + "text: {length: 4}");
    refused("no.onnx' does not exist", "models: [{file: no.onnx, inputs: {x: image}}]\n" + score);
    refused("is no ONNX model", "models: [{file: judge.yaml, inputs: {x: image}}]\n" + score);
    assertTrue(
        assertThrows(
                ReverieException.class,
                () -> new OnnxReward("x", folder.resolve("absent.yaml")).start())
            .getMessage()
            .contains("absent.yaml' does not exist"));
  }

  @Test
  void whatDoesNotFitTheModelIsNamed() {
    String score = "score: {value: colours, index: 0}\n";
    String models = "models: [{file: colours.onnx, inputs: {pixels: image}}]\n";
    refused(
        "there is no input 'pixel'",
        "models: [{file: colours.onnx, inputs: {pixel: image}}]\n" + score);
    refused(
        "there is no value 'tokens'",
        "models: [{file: colours.onnx, inputs: {pixels: tokens}}]\n" + score);
    refused("there is no value 'colour'", models + "score: {value: colour}");
    refused("so that there is no index 3", models + "score: {value: colours, index: 3}");
    refused(
        "there is no cosine of [1, 3] and [1, 3, 4, 4]",
        models + "score: {cosine: [colours, image]}");
    refused(
        "nothing is given for its input 'input_ids'",
        "models: [{file: pair.onnx, inputs: {pixel_values: image}}]\n" + score);
    refused(
        "the name 'colours' is taken",
        "models: [{file: colours.onnx, inputs: {pixels: image}}, {file: colours.onnx, inputs:"
            + " {pixels: image}}]\n"
            + score);
    refused(
        "its input 'pixels' is FLOAT[-1, 3, 4, 4], but FLOAT[1, 3, 5, 5] came",
        models + score + "image: {size: 5}");
    refused(
        "its input 'pixels' is FLOAT[-1, 3, 4, 4], but FLOAT[1, 4, 4, 3] came",
        models + score + "image: {size: 4, layout: nhwc}");
    refused("crop is 8, but the image is 4×4", models + score + "image: {crop: 8}");
    refused(
        "its input 'input_ids' is INT64[-1, -1], but FLOAT[1, 3, 4, 4] came",
        "models: [{file: pair.onnx, inputs: {pixel_values: image, input_ids: image}}]\n"
            + "score: {value: logits_per_image}");
    String pair =
        "models: [{file: pair.onnx, inputs: {pixel_values: image, input_ids: tokens}}]\n"
            + "score: {value: logits_per_image}\n";
    refused("does not exist", pair + "text: {tokenizer: nowhere}");
    refused("its kind is ''", pair + "text: {tokenizer: kind.json}".replace("kind", write("{}")));
  }

  private String write(String json) {
    try {
      Files.writeString(folder.resolve("some.json"), json);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    return "some";
  }
}
