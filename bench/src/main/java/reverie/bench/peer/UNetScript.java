// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import reverie.autograd.nn.Parameters;
import reverie.tensor.ReverieException;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/**
 * A U-Net as TorchScript: the calls of LibTorch that diffusers' {@code UNet2DConditionModel} makes,
 * in its order, written out layer by layer. Parameters come in one list, in the order of {@link
 * UNet#parameters()} and with the axes of files. Only what the measured models have is known:
 * blocks with and without cross-attention, convolutions that change the resolution.
 */
final class UNetScript {
  private static final Set<String> PLAIN = Set.of("DownBlock2D", "UpBlock2D");
  private static final Set<String> CROSS = Set.of("CrossAttnDownBlock2D", "CrossAttnUpBlock2D");

  private final UNetConfig config;
  private final Map<String, Integer> indices = new LinkedHashMap<>();
  private final StringBuilder text = new StringBuilder();
  private final Deque<String> skips = new ArrayDeque<>();

  private UNetScript(UNetConfig config) {
    this.config = config;
    try (Parameters shapes = Parameters.shapesOnly()) {
      new UNet(config, shapes)
          .parameters()
          .all()
          .forEach(p -> indices.put(p.name(), indices.size()));
    }
  }

  /**
   * The methods {@code embed} and {@code predict} of a module: {@code predict(p, x, t, context)}
   * with images {@code [n, c, h, w]}.
   */
  static String of(UNetConfig config) {
    UNetScript script = new UNetScript(config);
    script.helpers();
    script.predict();
    return script.text.toString();
  }

  private void helpers() {
    text.append(
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

        def attend(self, x: Tensor, context: Tensor, heads: int, q: Tensor, k: Tensor, v: Tensor, \
        o: Tensor, ob: Tensor) -> Tensor:
          n = x.size(0)
          c = q.size(0)
          d = c // heads
          queries = torch.linear(x, q, None).view([n, -1, heads, d]).transpose(1, 2)
          keys = torch.linear(context, k, None).view([n, -1, heads, d]).transpose(1, 2)
          values = torch.linear(context, v, None).view([n, -1, heads, d]).transpose(1, 2)
          y = torch.scaled_dot_product_attention(queries, keys, values)
          y = y.transpose(1, 2).reshape([n, -1, c])
          return torch.linear(y, o, ob)

        def gated(self, x: Tensor, up: Tensor, upb: Tensor, down: Tensor, downb: Tensor) -> Tensor:
          parts = torch.chunk(torch.linear(x, up, upb), 2, -1)
          return torch.linear(parts[0] * torch.gelu(parts[1]), down, downb)

        """);
  }

  private void predict() {
    int first = config.blockOutChannels().getFirst();
    int half = first / 2;
    text.append(
        "def predict(self, p: List[Tensor], x: Tensor, t: Tensor, context: Tensor) -> Tensor:\n");
    line(String.format(Locale.ROOT, "steps = torch.arange(%d, dtype=6)", half));
    line(
        String.format(
            Locale.ROOT,
            "angle = t.unsqueeze(1) * torch.exp(steps * %s / %s)",
            -(float) Math.log(10000),
            half - config.freqShift()));
    line(
        config.flipSinToCos()
            ? "time = torch.cat([torch.cos(angle), torch.sin(angle)], -1)"
            : "time = torch.cat([torch.sin(angle), torch.cos(angle)], -1)");
    line(
        String.format(
            Locale.ROOT,
            "time = torch.linear(time, %s)",
            weightAndBias("time_embedding.linear_1")));
    line(
        String.format(
            Locale.ROOT,
            "time = torch.linear(torch.silu(time), %s)",
            weightAndBias("time_embedding.linear_2")));
    line(String.format(Locale.ROOT, "h = %s", conv("x", "conv_in", 1, config.convInKernel() / 2)));
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
    line(
        String.format(
            Locale.ROOT, "h = torch.silu(%s)", groupNorm("h", "conv_norm_out", config.normEps())));
    line("return " + conv("h", "conv_out", 1, config.convOutKernel() / 2));
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
      line("h = " + conv("h", at + ".downsamplers.0.conv", 2, config.downsamplePadding()));
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
      line(String.format(Locale.ROOT, "h = torch.cat([h, %s], 1)", skips.pop()));
      resnet(at + ".resnets." + i, true);
      if (cross) {
        transformer(at + ".attentions." + i, level);
      }
    }
    if (level > 0) {
      line("h = torch.upsample_nearest2d(h, [h.size(2) * 2, h.size(3) * 2], None, None)");
      line("h = " + conv("h", at + ".upsamplers.0.conv", 1, 1));
    }
  }

  private void resnet(String at, boolean widens) {
    line(
        String.format(
            Locale.ROOT,
            "y = self.resnet(h, time, %d, %s, %s, %s, %s, %s, %s)",
            config.normNumGroups(),
            config.normEps(),
            weightAndBias(at + ".norm1"),
            weightAndBias(at + ".conv1"),
            weightAndBias(at + ".time_emb_proj"),
            weightAndBias(at + ".norm2"),
            weightAndBias(at + ".conv2")));
    line(
        String.format(
            Locale.ROOT, "h = %s + y", widens ? conv("h", at + ".conv_shortcut", 1, 0) : "h"));
  }

  private void transformer(String at, int level) {
    int channels = config.blockOutChannels().get(level);
    int heads = config.attentionHeadDim().get(level);
    line("y = " + groupNorm("h", at + ".norm", 1e-6));
    line("y = " + conv("y", at + ".proj_in", 1, 0));
    line("s = y.size()");
    line(
        String.format(
            Locale.ROOT, "y = y.permute([0, 2, 3, 1]).reshape([s[0], s[2] * s[3], %d])", channels));
    for (int i = 0; i < config.transformerLayersPerBlock().get(level); i++) {
      String block = at + ".transformer_blocks." + i;
      line("z = " + layerNorm("y", block + ".norm1", channels));
      line(
          String.format(
              Locale.ROOT,
              "y = self.attend(z, z, %d, %s) + y",
              heads,
              attention(block + ".attn1")));
      line("z = " + layerNorm("y", block + ".norm2", channels));
      line(
          String.format(
              Locale.ROOT,
              "y = self.attend(z, context, %d, %s) + y",
              heads,
              attention(block + ".attn2")));
      line("z = " + layerNorm("y", block + ".norm3", channels));
      line(
          String.format(
              Locale.ROOT,
              "y = self.gated(z, %s, %s) + y",
              weightAndBias(block + ".ff.net.0.proj"),
              weightAndBias(block + ".ff.net.2")));
    }
    // diffusers asks for contiguous memory here; channels-last memory already is what it needs.
    line(
        String.format(
            Locale.ROOT, "y = y.reshape([s[0], s[2], s[3], %d]).permute([0, 3, 1, 2])", channels));
    line("if h.is_contiguous():");
    line("  y = y.contiguous()");
    line(String.format(Locale.ROOT, "h = %s + h", conv("y", at + ".proj_out", 1, 0)));
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
    line(name + " = h");
    skips.push(name);
  }

  private String conv(String x, String at, int stride, int padding) {
    return String.format(
        Locale.ROOT,
        "torch.conv2d(%s, %s, [%d, %d], [%d, %d], [1, 1], 1)",
        x,
        weightAndBias(at),
        stride,
        stride,
        padding,
        padding);
  }

  private String groupNorm(String x, String at, double epsilon) {
    return String.format(
        Locale.ROOT,
        "torch.group_norm(%s, %d, %s, %s, True)",
        x,
        config.normNumGroups(),
        weightAndBias(at),
        epsilon);
  }

  private String layerNorm(String x, String at, int channels) {
    return String.format(
        Locale.ROOT, "torch.layer_norm(%s, [%d], %s, 1e-5, True)", x, channels, weightAndBias(at));
  }

  private String attention(String at) {
    return String.join(
        ", ",
        List.of(
            weight(at + ".to_q.weight"),
            weight(at + ".to_k.weight"),
            weight(at + ".to_v.weight"),
            weightAndBias(at + ".to_out.0")));
  }

  private String weightAndBias(String at) {
    return weight(at + ".weight") + ", " + weight(at + ".bias");
  }

  private String weight(String name) {
    Integer index = indices.get(name);
    if (index == null) {
      throw new ReverieException("peer: the model has no parameter " + name);
    }
    return "p[" + index + "]";
  }

  private void line(String statement) {
    text.append("  ").append(statement).append('\n');
  }
}
