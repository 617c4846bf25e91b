// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.vae;

import java.util.List;
import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.GroupNorm;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Ops;
import reverie.unet.ResnetBlock;

/** From latents {@code [n, h, w, latentChannels]} to images. */
final class Decoder {
  private final Sequence layers = new Sequence();

  Decoder(Parameters p, AutoencoderConfig config) {
    List<Integer> widths = config.blockOutChannels().reversed();
    int channels = widths.getFirst();
    layers.add(new Conv2d(p.at("conv_in"), config.latentChannels(), channels, 3, 1, 1)::forward);
    layers.add(new Middle(p.at("mid_block"), config)::forward);
    for (int block = 0; block < widths.size(); block++) {
      Parameters at = p.at("up_blocks", block);
      int out = widths.get(block);
      for (int i = 0; i <= config.layersPerBlock(); i++) {
        ResnetBlock resnet = new ResnetBlock(at.at("resnets", i), config.resnets(), channels, out);
        layers.add(x -> resnet.forward(x, null));
        channels = out;
      }
      if (block < widths.size() - 1) {
        Conv2d conv = new Conv2d(at.at("upsamplers.0.conv"), out, out, 3, 1, 1);
        layers.add(x -> conv.forward(Ops.upsampleNearest(x, 2)));
      }
    }
    GroupNorm norm =
        new GroupNorm(p.at("conv_norm_out"), config.normNumGroups(), channels, config.epsilon());
    layers.add(x -> config.activation().apply(norm, x));
    layers.add(new Conv2d(p.at("conv_out"), channels, config.outChannels(), 3, 1, 1)::forward);
  }

  Sequence layers() {
    return layers;
  }
}
