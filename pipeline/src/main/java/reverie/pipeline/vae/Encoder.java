// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.vae;

import java.util.List;
import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.GroupNorm;
import reverie.autograd.nn.Parameters;
import reverie.unet.Downsample;
import reverie.unet.ResnetBlock;

/** From images {@code [n, h, w, channels]} to means and log-variances beside each other. */
final class Encoder {
  private final Sequence layers = new Sequence();

  Encoder(Parameters p, AutoencoderConfig config) {
    List<Integer> widths = config.blockOutChannels();
    int channels = widths.getFirst();
    layers.add(new Conv2d(p.at("conv_in"), config.channels(), channels, 3, 1, 1)::forward);
    for (int level = 0; level < widths.size(); level++) {
      Parameters at = p.at("down_blocks", level);
      int out = widths.get(level);
      for (int i = 0; i < config.layersPerBlock(); i++) {
        ResnetBlock resnet = new ResnetBlock(at.at("resnets", i), config.resnets(), channels, out);
        layers.add(x -> resnet.forward(x, null));
        channels = out;
      }
      if (level < widths.size() - 1) {
        layers.add(new Downsample(at.at("downsamplers.0"), out, 0)::forward);
      }
    }
    layers.add(new Middle(p.at("mid_block"), config)::forward);
    GroupNorm norm =
        new GroupNorm(p.at("conv_norm_out"), config.normNumGroups(), channels, config.epsilon());
    layers.add(x -> config.activation().apply(norm, x));
    layers.add(
        new Conv2d(p.at("conv_out"), channels, 2 * config.latentChannels(), 3, 1, 1)::forward);
  }

  Sequence layers() {
    return layers;
  }
}
