// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.lang.invoke.MethodHandles;
import java.util.Optional;
import reverie.tensor.Device;
import reverie.tensor.Tensor;
import reverie.tensor.graph.MicroBatched;

/**
 * One step of a chain for a whole batch, captured once for all steps and batches of one size:
 * timestep, coefficients and noise are tensors. Keep it as long as the model, whose weights it
 * reads where they are.
 *
 * <p>A denoiser that cannot be captured, because it looks at values, works all the same; {@link
 * #captureFailure} then says why it is slower than it could be.
 */
public final class SamplingStep implements AutoCloseable {
  private final MicroBatched<Inputs, Drawn> decision;
  private final MicroBatched<Inputs, Drawn> determined;

  /**
   * What a step depends on: the numbers of a {@link ChainPosition}; context, noise and the x̂0 of
   * the step before or null.
   */
  private record Inputs(Tensor x, Tensor numbers, Tensor context, Tensor noise, Tensor before) {}

  /**
   * What a step gives.
   *
   * @param latents after it, as they are stored
   * @param logProb theirs, or null
   * @param original x̂0, or null where no step looks at it
   */
  record Drawn(Tensor latents, Tensor logProb, Tensor original) {}

  /**
   * A step of this chain.
   *
   * @param denoiser the model, guidance included
   */
  public SamplingStep(ReversePolicy policy, Device device, Denoiser denoiser) {
    decision =
        new MicroBatched<>(
            MethodHandles.lookup(),
            device,
            in -> {
              ChainPosition at = ChainPosition.of(in.numbers);
              ReversePolicy.Step step = policy.step(in.x, output(denoiser, in, at), at);
              Tensor next = policy.sample(step, in.noise);
              return new Drawn(next, policy.logProb(next, step), null);
            });
    determined =
        new MicroBatched<>(
            MethodHandles.lookup(),
            device,
            in -> {
              ChainPosition at = ChainPosition.of(in.numbers);
              Tensor output = output(denoiser, in, at);
              Tensor mean = policy.step(in.x, output, at).mean();
              if (in.before == null) {
                return new Drawn(mean, null, null);
              }
              Tensor original = policy.originalSample(in.x, output, at);
              Tensor corrected = policy.corrected(mean, original, in.before, at);
              return new Drawn(corrected, null, original);
            });
  }

  private static Tensor output(Denoiser denoiser, Inputs in, ChainPosition at) {
    return denoiser.predict(in.x, at.timesteps(), in.context);
  }

  /**
   * Makes a step; the result is to be read before the next one.
   *
   * @param policy the chain, or the same with other decisions
   * @param index of the step in the chain
   * @param noise like x; null where σ = 0
   * @param context {@code [n, tokens, dim]} or null
   * @param before x̂0 of the step before, like x; null where no step of the chain looks at it
   */
  Drawn draw(
      ReversePolicy policy, int index, Tensor x, Tensor noise, Tensor context, Tensor before) {
    Tensor numbers = policy.position(x, index).numbers();
    return policy.isDecision(index)
        ? decision.run(new Inputs(x, numbers, context, noise, null))
        : determined.run(new Inputs(x, numbers, context, null, before));
  }

  /** Why the step cannot be captured; empty if it can, or was not made yet. */
  public Optional<String> captureFailure() {
    return decision.captureFailure().or(determined::captureFailure);
  }

  /** Frees its memory. */
  @Override
  public void close() {
    decision.close();
    determined.close();
  }
}
