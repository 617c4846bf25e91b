// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.util.List;
import java.util.Locale;
import reverie.pipeline.vae.AutoencoderConfig;

/**
 * The decoder of an autoencoder as TorchScript: the calls of LibTorch that diffusers' {@code
 * AutoencoderKL.decode} makes, in its order.
 */
final class AutoencoderScript {
  private static final double EPSILON = 1e-6;

  private final AutoencoderConfig config;
  private final LayerText text;

  private AutoencoderScript(AutoencoderConfig config, List<String> names) {
    this.config = config;
    text = new LayerText(names, config.normNumGroups());
  }

  /**
   * The method {@code decode(p, z)}, with latents and images {@code [n, c, h, w]}.
   *
   * @param names of the decoder's parameters, in the order of p
   */
  static String of(AutoencoderConfig config, List<String> names) {
    AutoencoderScript script = new AutoencoderScript(config, names);
    script.helpers();
    script.decode();
    return script.text.toString();
  }

  private void helpers() {
    text.add(
        String.format(
            Locale.ROOT,
            """

            def decoder_resnet(self, x: Tensor, groups: int, n1: Tensor, n1b: Tensor, c1: Tensor, \
            c1b: Tensor, n2: Tensor, n2b: Tensor, c2: Tensor, c2b: Tensor) -> Tensor:
              y = torch.silu(torch.group_norm(x, groups, n1, n1b, %1$s, True))
              y = torch.conv2d(y, c1, c1b, [1, 1], [1, 1], [1, 1], 1)
              y = torch.silu(torch.group_norm(y, groups, n2, n2b, %1$s, True))
              return torch.conv2d(y, c2, c2b, [1, 1], [1, 1], [1, 1], 1)

            def decoder_attention(self, x: Tensor, q: Tensor, qb: Tensor, k: Tensor, kb: Tensor, \
            v: Tensor, vb: Tensor, o: Tensor, ob: Tensor) -> Tensor:
              s = x.size()
              y = x.permute([0, 2, 3, 1]).reshape([s[0], 1, s[2] * s[3], s[1]])
              y = torch.scaled_dot_product_attention(\
            torch.linear(y, q, qb), torch.linear(y, k, kb), torch.linear(y, v, vb))
              y = torch.linear(y, o, ob).reshape([s[0], s[2], s[3], s[1]]).permute([0, 3, 1, 2])
              if x.is_contiguous():
                y = y.contiguous()
              return y

            """,
            EPSILON));
  }

  private void decode() {
    text.add("def decode(self, p: List[Tensor], z: Tensor) -> Tensor:\n");
    text.line("h = %s", text.conv("z", "post_quant_conv", 1, 0));
    text.line("h = %s", text.conv("h", "decoder.conv_in", 1, 1));
    resnet("decoder.mid_block.resnets.0");
    String attention = "decoder.mid_block.attentions.0";
    text.line("y = %s", text.groupNorm("h", attention + ".group_norm", EPSILON));
    text.line(
        "h = h + self.decoder_attention(y, %s, %s, %s, %s)",
        text.weightAndBias(attention + ".to_q"),
        text.weightAndBias(attention + ".to_k"),
        text.weightAndBias(attention + ".to_v"),
        text.weightAndBias(attention + ".to_out.0"));
    resnet("decoder.mid_block.resnets.1");
    int levels = config.blockOutChannels().size();
    for (int level = 0; level < levels; level++) {
      String at = "decoder.up_blocks." + level;
      for (int i = 0; i <= config.layersPerBlock(); i++) {
        resnet(at + ".resnets." + i);
      }
      if (level < levels - 1) {
        text.line("h = torch.upsample_nearest2d(h, [h.size(2) * 2, h.size(3) * 2], None, None)");
        text.line("h = %s", text.conv("h", at + ".upsamplers.0.conv", 1, 1));
      }
    }
    text.line("h = torch.silu(%s)", text.groupNorm("h", "decoder.conv_norm_out", EPSILON));
    text.line("return %s", text.conv("h", "decoder.conv_out", 1, 1));
  }

  private void resnet(String at) {
    text.line(
        "y = self.decoder_resnet(h, %d, %s, %s, %s, %s)",
        config.normNumGroups(),
        text.weightAndBias(at + ".norm1"),
        text.weightAndBias(at + ".conv1"),
        text.weightAndBias(at + ".norm2"),
        text.weightAndBias(at + ".conv2"));
    String shortcut = at + ".conv_shortcut";
    text.line("h = %s + y", text.has(shortcut + ".weight") ? text.conv("h", shortcut, 1, 0) : "h");
  }
}
