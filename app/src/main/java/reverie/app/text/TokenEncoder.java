// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import reverie.app.files.JsonFile;
import reverie.app.onnx.OnnxModel;
import reverie.app.onnx.OnnxValue;
import reverie.tensor.ReverieException;

/**
 * An encoder of BERT's kind as ONNX model: from word pieces to a state for each.
 *
 * @param tokenizer cuts texts
 * @param model takes {@code input_ids}, {@code attention_mask} and perhaps {@code token_type_ids},
 *     gives {@code last_hidden_state}
 */
public record TokenEncoder(WordPiece tokenizer, OnnxModel model) implements AutoCloseable {
  /** Positions that BERT was trained with. */
  private static final int MAX_TOKENS = 512;

  private static final String STATES = "last_hidden_state";

  /** Checks that the model gives states. */
  public TokenEncoder {
    if (!model.outputs().contains(STATES) || !model.inputs().contains("input_ids")) {
      throw new ReverieException(
          "text encoder: expected a model from input_ids to "
              + STATES
              + ", but it "
              + model.described(),
          "export it with these names, as optimum does");
    }
  }

  /**
   * Reads a folder with {@code model.onnx} and {@code tokenizer.json}.
   *
   * @throws ReverieException if one is missing or of another kind
   */
  public static TokenEncoder read(Path folder) {
    Path tokenizer = folder.resolve("tokenizer.json");
    if (!Files.exists(tokenizer)) {
      throw new ReverieException(
          "text encoder: '" + tokenizer + "' does not exist",
          "name a folder with model.onnx and tokenizer.json, or minilm");
    }
    return new TokenEncoder(
        WordPiece.of(JsonFile.readObject(tokenizer, "save it again"), tokenizer.toString()),
        OnnxModel.read(folder.resolve("model.onnx")));
  }

  /** Tokens of a text, as many as the model has positions for. */
  public int[] tokens(String text) {
    return WordPiece.cut(tokenizer.encode(text), MAX_TOKENS);
  }

  /** The last hidden state of each token. */
  public float[][] states(int[] ids) {
    int[] ones = new int[ids.length];
    Arrays.fill(ones, 1);
    Map<String, OnnxValue> inputs = new LinkedHashMap<>();
    inputs.put("input_ids", OnnxValue.row(ids));
    inputs.put("attention_mask", OnnxValue.row(ones));
    inputs.put("token_type_ids", OnnxValue.row(new int[ids.length]));
    OnnxValue states = model.run(inputs).get(STATES);
    int width = states.data().length / ids.length;
    float[][] rows = new float[ids.length][];
    for (int t = 0; t < rows.length; t++) {
      rows[t] = Arrays.copyOfRange(states.data(), t * width, (t + 1) * width);
    }
    return rows;
  }

  @Override
  public void close() {
    model.close();
  }
}
