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
   * What a step depends on: the numbers of a {@link ChainPosition}; context, noise and what it
   * looks back at, or null.
   */
  private record Inputs(
      Tensor x, Tensor numbers, Tensor context, Tensor noise, StepHistory.Seen past) {}

  /**
   * What a step gives.
   *
   * @param latents after it, as they are stored
   * @param logProb theirs, or null
   * @param seen what later steps look back at, or null
   */
  record Drawn(Tensor latents, Tensor logProb, Tensor seen) {}

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
              if (in.past == null) {
                return new Drawn(mean, null, null);
              }
              if (policy.isLinearMultistep()) {
                Tensor joined = policy.joined(mean, in.past, at);
                return new Drawn(joined, null, output);
              }
              Tensor original = policy.originalSample(in.x, output, at);
              Tensor corrected = policy.corrected(mean, original, in.past.first(), at);
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
   * @param past what it looks back at; null where no step of the chain does
   */
  Drawn draw(
      ReversePolicy policy,
      int index,
      Tensor x,
      Tensor noise,
      Tensor context,
      StepHistory.Seen past) {
    Tensor numbers = policy.position(x, index).numbers();
    return policy.isDecision(index)
        ? decision.run(new Inputs(x, numbers, context, noise, null))
        : determined.run(new Inputs(x, numbers, context, null, past));
  }

  /** Why the step cannot be captured; empty if it can, or was not made yet. */
  public Optional<String> captureFailure() {
    return decision.captureFailure().or(determined::captureFailure);
  }

  /** Gives the memory of a large step back until the next one. */
  public void discard() {
    decision.discard();
    determined.discard();
  }

  /** Frees its memory. */
  @Override
  public void close() {
    decision.close();
    determined.close();
  }
}
