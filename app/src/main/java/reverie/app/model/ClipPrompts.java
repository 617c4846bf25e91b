// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import reverie.app.text.PromptEncoder;
import reverie.autograd.Tape;
import reverie.pipeline.StableDiffusion;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * The text encoder of a pipeline, which is asked once for each prompt; or only the embeddings
 * before its layers, where these are trained.
 */
final class ClipPrompts implements PromptEncoder {
  private final StableDiffusion pipeline;
  private final boolean embeddings;
  private final Map<String, float[]> known = new ConcurrentHashMap<>();

  ClipPrompts(StableDiffusion pipeline, boolean embeddings) {
    this.pipeline = pipeline;
    this.embeddings = embeddings;
  }

  @Override
  public String identity() {
    return "CLIP of " + pipeline.folder().path();
  }

  @Override
  public int tokens() {
    return pipeline.tokenizer().length();
  }

  @Override
  public int dimensions() {
    return pipeline.textEncoder().config().hidden();
  }

  @Override
  public float[] encode(String prompt) {
    return known.computeIfAbsent(prompt, this::compute).clone();
  }

  private float[] compute(String prompt) {
    try (Scope _ = Scope.open("prompt")) {
      Tensor tokens = pipeline.tokens(List.of(prompt));
      return Tape.noGradient(() ->
          (embeddings
                  ? pipeline.textEncoder().embeddings(tokens)
                  : pipeline.textEncoder().forward(tokens))
              .toFloats());
    }
  }
}
