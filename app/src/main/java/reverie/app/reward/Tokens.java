// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Function;
import reverie.app.files.JsonFile;
import reverie.app.text.MiniLm;
import reverie.app.text.WordPiece;
import reverie.pipeline.text.ClipTokenizer;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;

/**
 * From a prompt to the tokens that a model reads: CLIP's byte pairs, or BERT's word pieces.
 *
 * @param ids all tokens of a text
 * @param length to which they are cut and filled up; 0 for as many as there are
 * @param pad what fills up
 */
record Tokens(Function<String, int[]> ids, int length, int pad) {
  /** The file of tokenizers today. */
  private static final String FILE = "tokenizer.json";

  /**
   * Finds out which tokenizer there is.
   *
   * @param beside the file to which paths are relative
   */
  static Tokens of(OnnxSpec.Text text, Path beside) {
    int length = text.length() == null ? 0 : text.length();
    if (text.tokenizer().equals("minilm")) {
      return of(MiniLm.tokenizer(), length, text.pad());
    }
    Path place = beside.resolveSibling(text.tokenizer());
    Path json = Files.isDirectory(place) ? place.resolve(FILE) : place;
    if (Files.exists(json)) {
      JsonNode tokenizer = JsonFile.readObject(json, "save the tokenizer again");
      String kind = tokenizer.path("model").path("type").asString("");
      if (kind.equals("WordPiece")) {
        return of(WordPiece.of(tokenizer, json.toString()), length, text.pad());
      }
      if (!kind.equals("BPE")) {
        throw new ReverieException(
            "tokenizer " + json + ": its kind is '" + kind + "'",
            "expected WordPiece, as BERT has it, or BPE, as CLIP has it");
      }
      place = json.toAbsolutePath().getParent();
    } else if (!Files.isDirectory(place)) {
      throw new ReverieException(
          "tokenizer '" + place + "' does not exist",
          "check the path; it is relative to " + beside);
    }
    ClipTokenizer clip = ClipTokenizer.read(place);
    int[] empty = clip.encode("");
    return new Tokens(clip::ids, length, text.pad() == null ? empty[empty.length - 1] : text.pad());
  }

  private static Tokens of(WordPiece pieces, int length, Integer pad) {
    return new Tokens(pieces::encode, length, pad == null ? pieces.pad() : pad);
  }

  /** Cut and filled up. */
  int[] of(String text) {
    int[] all = ids.apply(text);
    if (length == 0) {
      return all;
    }
    int[] tokens = Arrays.copyOf(WordPiece.cut(all, length), length);
    Arrays.fill(tokens, Math.min(all.length, length), length, pad);
    return tokens;
  }

  /** 1 for each token of the text, 0 for what fills up. */
  int[] mask(String text) {
    int count = ids.apply(text).length;
    int[] mask = new int[length == 0 ? count : length];
    Arrays.fill(mask, 0, Math.min(count, mask.length), 1);
    return mask;
  }
}
