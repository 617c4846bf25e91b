// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import reverie.tensor.Ops;
import reverie.tensor.Tensor;

/** diffusers' {@code FeedForward} with GEGLU: four times as wide between as outside. */
public final class FeedForward {
  private static final int WIDER = 4;

  private final Linear up;
  private final Linear down;

  /** Makes {@code net.0.proj}, both halves of the gate, and {@code net.2}. */
  public FeedForward(Parameters parameters, int channels) {
    int inner = WIDER * channels;
    up = new Linear(parameters.at("net.0.proj"), channels, 2 * inner, true);
    down = new Linear(parameters.at("net.2"), inner, channels, true);
  }

  /** From {@code […, channels]} to the like, added to a residual. */
  public Tensor forward(Tensor x, Tensor residual) {
    return Ops.feedForward(
        x,
        up.weight.effective(),
        up.bias.effective(),
        down.weight.effective(),
        down.bias.effective(),
        residual);
  }
}
