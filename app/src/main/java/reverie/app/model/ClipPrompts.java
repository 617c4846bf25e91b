// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import reverie.app.text.PromptEncoder;
import reverie.autograd.Tape;
import reverie.pipeline.StableDiffusion;
import reverie.tensor.Scope;

/** The text encoder of a pipeline, which is asked once for each prompt. */
final class ClipPrompts implements PromptEncoder {
  private final StableDiffusion pipeline;
  private final Map<String, float[]> known = new ConcurrentHashMap<>();

  ClipPrompts(StableDiffusion pipeline) {
    this.pipeline = pipeline;
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
      return Tape.noGradient(() -> pipeline.context(List.of(prompt)).toFloats());
    }
  }
}
