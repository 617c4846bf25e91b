// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.util.Deque;
import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;
import reverie.tensor.op.Pad;

/** One level on the way down; remembers everything it computes for the way up. */
final class DownBlock {
  private final Layers layers;
  private final ResnetBlock resnetDownsample;
  private final Conv2d convDownsample;
  private final boolean padAfter;

  DownBlock(Parameters p, UNetConfig config, int level, int in) {
    int out = config.blockOutChannels().get(level);
    Layers.Kind kind =
        Layers.Kind.of("down_block_types", config.downBlockTypes().get(level), "DownBlock2D");
    layers = new Layers(p, config, kind, level);
    for (int i = 0; i < config.layersPerBlock().get(level); i++) {
      layers.add(i == 0 ? in : out, out);
    }
    boolean below = level < config.levels() - 1;
    boolean resnet = kind == Layers.Kind.ATTENTION && config.resnetDownsample();
    int padding = config.downsamplePadding();
    padAfter = padding == 0;
    Parameters at = p.at("downsamplers", 0);
    resnetDownsample =
        below && resnet
            ? new ResnetBlock(at, config, out, out, 1, x -> Ops.averagePool(x, 2))
            : null;
    convDownsample = below && !resnet ? new Conv2d(at.at("conv"), out, out, 3, 2, padding) : null;
  }

  /** With zeros at the right and bottom only, where diffusers pads when told not to. */
  private static Tensor padded(Tensor x) {
    return Ops.apply(new Pad(2, 0, 1), Ops.apply(new Pad(1, 0, 1), x));
  }

  Tensor forward(
      Tensor x, Tensor embedding, Tensor context, Deque<Tensor> skips, boolean checkpoint) {
    Tensor y = x;
    for (int i = 0; i < layers.size(); i++) {
      y = layers.forward(i, y, embedding, context, checkpoint);
      skips.push(y);
    }
    if (resnetDownsample != null) {
      y = resnetDownsample.forward(y, embedding);
      skips.push(y);
    } else if (convDownsample != null) {
      y = convDownsample.forward(padAfter ? padded(y) : y);
      skips.push(y);
    }
    return y;
  }
}
