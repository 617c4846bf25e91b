// SPDX-License-Identifier: Apache-2.0
package reverie.bench.step;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import reverie.unet.UNetConfig;

/** The measured models. */
public enum Subject {
  /** Like the model that ships with Reverie: 1.3 million parameters, attention on both levels. */
  ICONS(
      16,
      64,
      Map.of(
          "block_out_channels",
          List.of(32, 64),
          "layers_per_block",
          1,
          "norm_num_groups",
          8,
          "attention_head_dim",
          4,
          "down_block_types",
          List.of("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
          "up_block_types",
          List.of("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"))),
  /** Three levels, 10.8 million parameters. */
  LARGE(
      32,
      16,
      Map.of(
          "block_out_channels",
          List.of(64, 128, 128),
          "layers_per_block",
          2,
          "norm_num_groups",
          32,
          "attention_head_dim",
          8,
          "down_block_types",
          List.of("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
          "up_block_types",
          List.of("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"))),
  /** Of the size of Stable Diffusion 1.5's: four levels, 860 million parameters, latents. */
  STABLE_DIFFUSION(
      64,
      4,
      4,
      77,
      768,
      Map.of(
          "block_out_channels",
          List.of(320, 640, 1280, 1280),
          "layers_per_block",
          2,
          "norm_num_groups",
          32,
          "attention_head_dim",
          8,
          "down_block_types",
          List.of(
              "CrossAttnDownBlock2D",
              "CrossAttnDownBlock2D",
              "CrossAttnDownBlock2D",
              "DownBlock2D"),
          "up_block_types",
          List.of("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D")));

  private final int side;
  private final int batch;
  private final int channels;
  private final int tokens;
  private final int contextWidth;
  private final Map<String, Object> shape;

  Subject(int side, int batch, Map<String, Object> shape) {
    this(side, batch, 3, 10, 384, shape);
  }

  Subject(
      int side, int batch, int channels, int tokens, int contextWidth, Map<String, Object> shape) {
    this.side = side;
    this.batch = batch;
    this.channels = channels;
    this.tokens = tokens;
    this.contextWidth = contextWidth;
    this.shape = shape;
  }

  /** Those that fit a processor's patience. */
  public static List<Subject> forProcessors() {
    return List.of(ICONS, LARGE);
  }

  /** The name in tables. */
  public String title() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Height and width of the images. */
  public int side() {
    return side;
  }

  /** Number of samples; guidance computes each twice. */
  public int batch() {
    return batch;
  }

  /** Channels of the images. */
  public int channels() {
    return channels;
  }

  /** Tokens of a prompt. */
  public int tokens() {
    return tokens;
  }

  /** Channels of a prompt's tokens. */
  public int contextWidth() {
    return contextWidth;
  }

  /** The U-Net. */
  public UNetConfig config() {
    return config(side, Map.of());
  }

  /** The U-Net for other images, or with other values in its configuration. */
  public UNetConfig config(int otherSide, Map<String, Object> changes) {
    Map<String, Object> all = new LinkedHashMap<>(shape);
    all.put("_class_name", "UNet2DConditionModel");
    all.put("sample_size", otherSide);
    all.put("in_channels", channels);
    all.put("out_channels", channels);
    all.put("cross_attention_dim", contextWidth);
    all.putAll(changes);
    return UNetConfig.of(all);
  }
}
