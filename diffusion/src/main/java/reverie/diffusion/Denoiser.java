// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import reverie.autograd.nn.Context;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;

/**
 * What a diffusion model is to everything in this package: a network that looks at a noised sample.
 *
 * <p>It must depend on its arguments and the values of tensors alone, not on a counter or a
 * generator of its own: it is called once for a whole chain if it can be {@linkplain
 * reverie.tensor.graph.CapturedGraph captured}.
 */
@FunctionalInterface
public interface Denoiser {
  /**
   * The model's output, of the shape of {@code x}; what it means is the {@link Prediction}.
   *
   * @param x noised samples {@code [n, …]}
   * @param timesteps {@code [n]}, the noise level of each, in the device's floating-point type
   * @param context {@code [n, tokens, dim]} what each is an image of, or null for a model without
   *     conditions
   */
  Tensor predict(Tensor x, Tensor timesteps, Tensor context);

  /**
   * The outputs for several contexts of every sample.
   *
   * @param x noised samples {@code [n, …]}
   * @param timesteps {@code [n]}
   * @param contexts {@code [k·n, tokens, dim]}, or {@code [1 + n, tokens, dim]}, which is k = 2:
   *     the rows of a {@link Context}
   * @return {@code [k·n, …]} in the order of the contexts
   */
  default Tensor predictEach(Tensor x, Tensor timesteps, Tensor contexts) {
    Context context = Context.of(contexts, x.dim(0));
    int rows = context.predictions();
    return predict(
        Ops.repeat(x, rows), Ops.repeat(timesteps, rows), context.spread(context.rows()));
  }

  /**
   * A model that takes k·n or 1 + n contexts for n samples itself, and computes what depends on no
   * context once for each sample: {@code Denoiser.branching(unet::forward)}.
   */
  static Denoiser branching(Denoiser model) {
    return new Denoiser() {
      @Override
      public Tensor predict(Tensor x, Tensor timesteps, Tensor context) {
        return model.predict(x, timesteps, context);
      }

      @Override
      public Tensor predictEach(Tensor x, Tensor timesteps, Tensor contexts) {
        return model.predict(x, timesteps, contexts);
      }
    };
  }
}
