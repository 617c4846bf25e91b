// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.util.Deque;
import reverie.autograd.nn.Context;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;

/** One level on the way down; remembers everything it computes for the way up. */
final class DownBlock {
  private final Layers layers;
  private final ResnetBlock resnetDownsample;
  private final Downsample convDownsample;

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
    Parameters at = p.at("downsamplers", 0);
    resnetDownsample =
        below && resnet
            ? new ResnetBlock(
                at, ResnetBlock.Options.of(config), out, out, 1, x -> Ops.averagePool(x, 2))
            : null;
    convDownsample = below && !resnet ? new Downsample(at, out, config.downsamplePadding()) : null;
  }

  Tensor forward(Tensor x, Tensor embedding, Context context, Deque<Tensor> skips) {
    Tensor y = x;
    for (int i = 0; i < layers.size(); i++) {
      y = layers.forward(i, y, embedding, context);
      skips.push(y);
    }
    if (resnetDownsample != null) {
      y = resnetDownsample.forward(y, embedding);
      skips.push(y);
    } else if (convDownsample != null) {
      y = convDownsample.forward(y);
      skips.push(y);
    }
    return y;
  }
}
