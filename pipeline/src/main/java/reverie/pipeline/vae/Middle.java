// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.vae;

import reverie.autograd.nn.Parameters;
import reverie.tensor.Tensor;
import reverie.unet.AttentionBlock;
import reverie.unet.ResnetBlock;

/** The lowest resolution: a residual block, attention with one head, a residual block. */
final class Middle {
  private final ResnetBlock first;
  private final AttentionBlock attention;
  private final ResnetBlock second;

  Middle(Parameters p, AutoencoderConfig config) {
    int channels = config.blockOutChannels().getLast();
    first = new ResnetBlock(p.at("resnets.0"), config.resnets(), channels, channels);
    attention =
        new AttentionBlock(
            p.at("attentions.0"), channels, channels, config.normNumGroups(), config.epsilon(), 1);
    second = new ResnetBlock(p.at("resnets.1"), config.resnets(), channels, channels);
  }

  Tensor forward(Tensor x) {
    return second.forward(attention.forward(first.forward(x, null), null), null);
  }
}
