// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import reverie.diffusion.Decoding;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Guidance;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.Sampler;
import reverie.diffusion.Trajectory;
import reverie.tensor.Tensor;
import reverie.unet.VectorCheck.Row;
import tools.jackson.databind.JsonNode;

/** Compares whole chains of a pipeline with those in a file of reference vectors. */
record ChainCheck(Vectors vectors, StableDiffusion model) {
  static final String PNDM = "pipe.output.pndm.";

  private Denoiser guided(JsonNode settings) {
    return new Guidance(
        Denoiser.branching(model.unet()::forward),
        // As in diffusers, there is no guidance with 1 or less.
        Math.max(1, settings.path("guidance_scale").asDouble(1)),
        model.context(List.of(settings.path("negative_prompt").asString(""))));
  }

  private Row timesteps(String name, ReversePolicy policy) {
    int[] own = Arrays.stream(policy.grid().timesteps()).mapToInt(t -> (int) t).toArray();
    return vectors.exact(name, vectors.ints(name), own);
  }

  /** The first of its latents are those after the second call of the model. */
  List<Row> pndm() {
    JsonNode settings = vectors.json(PipelineCheck.KEY);
    ReversePolicy policy = ReversePolicy.pndm(model.scheduler(), settings.path("steps").asInt());
    Trajectory chain =
        new Sampler(policy, vectors.device())
            .from(
                guided(settings),
                model.context(Vectors.texts(settings.path("prompts"))),
                vectors.image("pipe.input.latents"));
    List<Row> rows = new ArrayList<>();
    rows.add(timesteps(PNDM + "timesteps", policy));
    for (int i = 1; i < policy.steps(); i++) {
      rows.add(vectors.row(PNDM + "latents", i - 1, chain.after(i)));
    }
    rows.add(image(PNDM, chain.after(policy.steps() - 1)));
    return rows;
  }

  private Row image(String prefix, Tensor latents) {
    return vectors.row(prefix + "image", Decoding.unit(model.decode(latents)).clamp(0, 1));
  }

  /**
   * Every latent, log-probability and image of a chain.
   *
   * @param prefix of its tensors
   */
  List<Row> ddim(String prefix, double eta) {
    JsonNode settings = vectors.json(PipelineCheck.KEY);
    int steps = settings.path("steps").asInt();
    Tensor context = model.context(Vectors.texts(settings.path("prompts")));
    Denoiser guided = guided(settings);
    ReversePolicy policy = ReversePolicy.ddim(model.scheduler(), steps, eta);
    List<Row> rows = new ArrayList<>();
    rows.add(timesteps("pipe.input.timesteps", policy));
    boolean scored = vectors.file().names().contains(prefix + "log_prob");
    Tensor x = vectors.image("pipe.input.latents");
    for (int i = 0; i < steps; i++) {
      Tensor output = guided.predict(x, policy.timesteps(x, i), context);
      ReversePolicy.Step step = policy.step(x, output, i);
      x =
          policy.isDecision(i)
              ? policy.sample(step, vectors.part("pipe.input.noise", i))
              : step.mean();
      rows.add(vectors.row(prefix + "model_output", i, output));
      rows.add(vectors.row(prefix + "latents", i, x));
      if (scored) {
        rows.add(vectors.score(prefix + "log_prob", i, policy.logProb(x, step)));
      }
    }
    rows.add(image(prefix, x));
    return rows;
  }
}
