// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import reverie.autograd.nn.Lora;
import reverie.tensor.ReverieException;
import reverie.unet.UNetConfig;

/**
 * A U-Net as TorchScript: the calls of LibTorch that diffusers' {@code UNet2DConditionModel} makes,
 * in its order, written out layer by layer, with adapters as PEFT computes them. Only what the
 * measured models have is known: blocks with and without cross-attention, convolutions that change
 * the resolution.
 */
final class UNetScript {
  private static final Set<String> PLAIN = Set.of("DownBlock2D", "UpBlock2D");
  private static final Set<String> CROSS = Set.of("CrossAttnDownBlock2D", "CrossAttnUpBlock2D");

  private final UNetConfig config;
  private final Lora.Size adapters;
  private final LayerText text;
  private final Deque<String> skips = new ArrayDeque<>();

  private UNetScript(UNetConfig config, Lora.Size adapters, List<String> names) {
    this.config = config;
    this.adapters = adapters;
    text = new LayerText(names, config.normNumGroups());
  }

  /**
   * The method {@code predict(p, x, t, context)} of a module, with images {@code [n, c, h, w]}.
   *
   * @param adapters on the four projections of every attention layer, or null
   * @param names of the parameters, in the order of p
   */
  static String of(UNetConfig config, Lora.Size adapters, List<String> names) {
    UNetScript script = new UNetScript(config, adapters, names);
    script.helpers();
    script.predict();
    return script.text.toString();
  }

  private void helpers() {
    text.add(
        """
        def resnet(self, x: Tensor, time: Tensor, groups: int, eps: float, \
        n1: Tensor, n1b: Tensor, c1: Tensor, c1b: Tensor, tw: Tensor, tb: Tensor, \
        n2: Tensor, n2b: Tensor, c2: Tensor, c2b: Tensor) -> Tensor:
          y = torch.silu(torch.group_norm(x, groups, n1, n1b, eps, True))
          y = torch.conv2d(y, c1, c1b, [1, 1], [1, 1], [1, 1], 1)
          shift = torch.linear(torch.silu(time), tw, tb)
          y = y + shift.unsqueeze(2).unsqueeze(3)
          y = torch.silu(torch.group_norm(y, groups, n2, n2b, eps, True))
          return torch.conv2d(y, c2, c2b, [1, 1], [1, 1], [1, 1], 1)

        def heads(self, x: Tensor, count: int) -> Tensor:
          return x.view([x.size(0), -1, count, x.size(2) // count]).transpose(1, 2)

        def attend(self, q: Tensor, k: Tensor, v: Tensor, count: int) -> Tensor:
          y = torch.scaled_dot_product_attention(\
        self.heads(q, count), self.heads(k, count), self.heads(v, count))
          return y.transpose(1, 2).reshape([q.size(0), -1, q.size(2)])

        def adapted(self, x: Tensor, w: Tensor, bias: Optional[Tensor], a: Tensor, b: Tensor) \
        -> Tensor:
          return torch.linear(x, w, bias) + torch.linear(torch.linear(x, a), b) * FACTOR

        def gated(self, x: Tensor, up: Tensor, upb: Tensor, down: Tensor, downb: Tensor) -> Tensor:
          parts = torch.chunk(torch.linear(x, up, upb), 2, -1)
          return torch.linear(parts[0] * torch.gelu(parts[1]), down, downb)

        """
            .replace(
                "FACTOR",
                adapters == null ? "1" : Double.toString(adapters.alpha() / adapters.rank())));
  }

  private void predict() {
    int first = config.blockOutChannels().getFirst();
    int half = first / 2;
    text.add(
        "def predict(self, p: List[Tensor], x: Tensor, t: Tensor, context: Tensor) -> Tensor:\n");
    text.line("steps = torch.arange(%d, dtype=6)", half);
    text.line(
        "angle = t.unsqueeze(1) * torch.exp(steps * %s / %s)",
        -(float) Math.log(10000), half - config.freqShift());
    text.line(
        config.flipSinToCos()
            ? "time = torch.cat([torch.cos(angle), torch.sin(angle)], -1)"
            : "time = torch.cat([torch.sin(angle), torch.cos(angle)], -1)");
    text.line("time = torch.linear(time, %s)", text.weightAndBias("time_embedding.linear_1"));
    text.line(
        "time = torch.linear(torch.silu(time), %s)", text.weightAndBias("time_embedding.linear_2"));
    text.line("h = %s", text.conv("x", "conv_in", 1, config.convInKernel() / 2));
    remember();
    int levels = config.levels();
    int channels = first;
    for (int level = 0; level < levels; level++) {
      down(level, channels);
      channels = config.blockOutChannels().get(level);
    }
    middle();
    for (int i = 0; i < levels; i++) {
      up(i);
    }
    text.line("h = torch.silu(%s)", text.groupNorm("h", "conv_norm_out", config.normEps()));
    text.line("return " + text.conv("h", "conv_out", 1, config.convOutKernel() / 2));
  }

  private void down(int level, int in) {
    String at = "down_blocks." + level;
    boolean cross = cross(config.downBlockTypes().get(level));
    int out = config.blockOutChannels().get(level);
    for (int i = 0; i < config.layersPerBlock().get(level); i++) {
      resnet(at + ".resnets." + i, i == 0 && in != out);
      if (cross) {
        transformer(at + ".attentions." + i, level);
      }
      remember();
    }
    if (level < config.levels() - 1) {
      text.line(
          "h = " + text.conv("h", at + ".downsamplers.0.conv", 2, config.downsamplePadding()));
      remember();
    }
  }

  private void middle() {
    resnet("mid_block.resnets.0", false);
    transformer("mid_block.attentions.0", config.levels() - 1);
    resnet("mid_block.resnets.1", false);
  }

  private void up(int index) {
    String at = "up_blocks." + index;
    int level = config.levels() - 1 - index;
    boolean cross = cross(config.upBlockTypes().get(index));
    for (int i = 0; i <= config.layersPerBlock().get(level); i++) {
      text.line("h = torch.cat([h, %s], 1)", skips.pop());
      resnet(at + ".resnets." + i, true);
      if (cross) {
        transformer(at + ".attentions." + i, level);
      }
    }
    if (level > 0) {
      text.line("h = torch.upsample_nearest2d(h, [h.size(2) * 2, h.size(3) * 2], None, None)");
      text.line("h = " + text.conv("h", at + ".upsamplers.0.conv", 1, 1));
    }
  }

  private void resnet(String at, boolean widens) {
    text.line(
        "y = self.resnet(h, time, %d, %s, %s, %s, %s, %s, %s)",
        config.normNumGroups(),
        config.normEps(),
        text.weightAndBias(at + ".norm1"),
        text.weightAndBias(at + ".conv1"),
        text.weightAndBias(at + ".time_emb_proj"),
        text.weightAndBias(at + ".norm2"),
        text.weightAndBias(at + ".conv2"));
    text.line("h = %s + y", widens ? text.conv("h", at + ".conv_shortcut", 1, 0) : "h");
  }

  private void transformer(String at, int level) {
    int channels = config.blockOutChannels().get(level);
    int heads = config.attentionHeadDim().get(level);
    text.line("y = " + text.groupNorm("h", at + ".norm", 1e-6));
    text.line("y = " + text.conv("y", at + ".proj_in", 1, 0));
    text.line("s = y.size()");
    text.line("y = y.permute([0, 2, 3, 1]).reshape([s[0], s[2] * s[3], %d])", channels);
    for (int i = 0; i < config.transformerLayersPerBlock().get(level); i++) {
      String block = at + ".transformer_blocks." + i;
      text.line("z = " + text.layerNorm("y", block + ".norm1", channels));
      attention("z", block + ".attn1", heads);
      text.line("z = " + text.layerNorm("y", block + ".norm2", channels));
      attention("context", block + ".attn2", heads);
      text.line("z = " + text.layerNorm("y", block + ".norm3", channels));
      text.line(
          "y = self.gated(z, %s, %s) + y",
          text.weightAndBias(block + ".ff.net.0.proj"), text.weightAndBias(block + ".ff.net.2"));
    }
    // diffusers asks for contiguous memory here; channels-last memory already is what it needs.
    text.line("y = y.reshape([s[0], s[2], s[3], %d]).permute([0, 3, 1, 2])", channels);
    text.line("if h.is_contiguous():");
    text.line("  y = y.contiguous()");
    text.line("h = %s + h", text.conv("y", at + ".proj_out", 1, 0));
  }

  /** Of z to a context, added to y. */
  private void attention(String context, String at, int heads) {
    text.line(
        "z = self.attend(%s, %s, %s, %d)",
        projected("z", at + ".to_q", false),
        projected(context, at + ".to_k", false),
        projected(context, at + ".to_v", false),
        heads);
    text.line("y = %s + y", projected("z", at + ".to_out.0", true));
  }

  private static boolean cross(String type) {
    if (!PLAIN.contains(type) && !CROSS.contains(type)) {
      throw new ReverieException(
          String.format(Locale.ROOT, "peer: expected one of %s and %s, got %s", PLAIN, CROSS, type),
          "the benchmark's models have no other blocks");
    }
    return CROSS.contains(type);
  }

  /** Keeps what is computed so far for the way up. */
  private void remember() {
    String name = "skip" + skips.size();
    text.line("%s = h", name);
    skips.push(name);
  }

  /** A projection of attention, with its adapter if there is one. */
  private String projected(String x, String at, boolean bias) {
    String weights =
        text.weight(at + ".weight") + ", " + (bias ? text.weight(at + ".bias") : "None");
    return adapters == null
        ? String.format(Locale.ROOT, "torch.linear(%s, %s)", x, weights)
        : String.format(
            Locale.ROOT,
            "self.adapted(%s, %s, %s, %s)",
            x,
            weights,
            text.weight(at + ".lora_A.weight"),
            text.weight(at + ".lora_B.weight"));
  }
}
