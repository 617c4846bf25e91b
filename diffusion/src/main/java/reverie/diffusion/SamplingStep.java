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
  private final ReversePolicy policy;
  private final MicroBatched<Inputs, Drawn> decision;
  private final MicroBatched<Inputs, Drawn> determined;

  /** What a step depends on: the numbers of a {@link ChainPosition}; context and noise or null. */
  private record Inputs(Tensor x, Tensor numbers, Tensor context, Tensor noise) {}

  /** The latents after a step, as they are stored, and their log-probability or null. */
  record Drawn(Tensor latents, Tensor logProb) {}

  /**
   * A step of this chain.
   *
   * @param denoiser the model, guidance included
   */
  public SamplingStep(ReversePolicy policy, Device device, Denoiser denoiser) {
    this.policy = policy;
    decision =
        new MicroBatched<>(
            MethodHandles.lookup(),
            device,
            in -> {
              ReversePolicy.Step step = look(policy, denoiser, in);
              Tensor next = policy.sample(step, in.noise);
              return new Drawn(next, policy.logProb(next, step));
            });
    determined =
        new MicroBatched<>(
            MethodHandles.lookup(),
            device,
            in -> new Drawn(policy.stored(look(policy, denoiser, in).mean()), null));
  }

  private static ReversePolicy.Step look(ReversePolicy policy, Denoiser denoiser, Inputs in) {
    ChainPosition at = ChainPosition.of(in.numbers);
    return policy.step(in.x, denoiser.predict(in.x, at.timesteps(), in.context), at);
  }

  /**
   * Makes a step; the result is to be read before the next one.
   *
   * @param index of the step in the chain
   * @param noise like x; null where σ = 0
   * @param context {@code [n, tokens, dim]} or null
   */
  Drawn draw(int index, Tensor x, Tensor noise, Tensor context) {
    Tensor numbers = policy.position(x, index).numbers();
    return policy.isDecision(index)
        ? decision.run(new Inputs(x, numbers, context, noise))
        : determined.run(new Inputs(x, numbers, context, null));
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
