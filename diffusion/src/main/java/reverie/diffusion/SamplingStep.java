// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.List;
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
  private final MicroBatched decision;
  private final MicroBatched determined;

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
        new MicroBatched(
            device,
            List.of(),
            in -> {
              ReversePolicy.Step step = look(policy, denoiser, in[0], in[1], in[2]);
              Tensor next = policy.sample(step, in[3]);
              return new Tensor[] {next, policy.logProb(next, step)};
            });
    determined =
        new MicroBatched(
            device,
            List.of(),
            in -> {
              ReversePolicy.Step step = look(policy, denoiser, in[0], in[1], in[2]);
              return new Tensor[] {policy.stored(step.mean())};
            });
  }

  private static ReversePolicy.Step look(
      ReversePolicy policy, Denoiser denoiser, Tensor x, Tensor numbers, Tensor context) {
    ChainPosition at = ChainPosition.of(numbers);
    return policy.step(x, denoiser.predict(x, at.timesteps(), context), at);
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
    if (!policy.isDecision(index)) {
      return new Drawn(determined.run(x, numbers, context).getFirst(), null);
    }
    List<Tensor> drawn = decision.run(x, numbers, context, noise);
    return new Drawn(drawn.getFirst(), drawn.getLast());
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
