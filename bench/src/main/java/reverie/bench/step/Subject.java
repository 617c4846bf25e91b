// SPDX-License-Identifier: Apache-2.0
package reverie.bench.step;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import reverie.pipeline.vae.AutoencoderConfig;
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
  /** Stable Diffusion 1.5: latents, four levels, 860 million parameters; images of 512 pixels. */
  SD(64, 77, 768, List.of(320, 640, 1280, 1280), List.of(128, 256, 512, 512)),
  /** The same with few channels and small images, to try what {@link #SD} takes an hour for. */
  REHEARSAL(16, 77, 64, List.of(32, 64, 64, 64), List.of(32, 32, 64, 64));

  private final int side;
  private final int batch;
  private final int channels;
  private final int tokens;
  private final int contextWidth;
  private final Map<String, Object> shape;
  private final List<Integer> decoder;

  Subject(int side, int batch, Map<String, Object> shape) {
    this.side = side;
    this.batch = batch;
    channels = 3;
    tokens = 10;
    contextWidth = 384;
    this.shape = shape;
    decoder = List.of();
  }

  Subject(int side, int tokens, int contextWidth, List<Integer> unet, List<Integer> decoder) {
    this.side = side;
    batch = 1;
    channels = 4;
    this.tokens = tokens;
    this.contextWidth = contextWidth;
    String down = "CrossAttnDownBlock2D";
    String up = "CrossAttnUpBlock2D";
    shape =
        Map.of(
            "block_out_channels",
            unet,
            "layers_per_block",
            2,
            "norm_num_groups",
            32,
            "attention_head_dim",
            8,
            "down_block_types",
            List.of(down, down, down, "DownBlock2D"),
            "up_block_types",
            List.of("UpBlock2D", up, up, up));
    this.decoder = List.copyOf(decoder);
  }

  /** Those that are measured where nothing is asked for by name. */
  public static List<Subject> usual() {
    return List.of(ICONS, LARGE);
  }

  /** The steps of it that are measured. */
  public List<Kind> kinds() {
    return decoder.isEmpty()
        ? List.of(Kind.SAMPLING, Kind.DDPO, Kind.PRETRAINING)
        : List.of(Kind.SAMPLING, Kind.LORA, Kind.DECODING);
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

  /** The autoencoder of a model that draws latents. */
  public AutoencoderConfig autoencoder() {
    int levels = decoder.size();
    return AutoencoderConfig.parse(
        String.format(
            Locale.ROOT,
            """
            {"_class_name": "AutoencoderKL", "block_out_channels": %s, "layers_per_block": 2,
             "sample_size": %d, "down_block_types": %s, "up_block_types": %s}
            """,
            decoder,
            side << levels - 1,
            Collections.nCopies(levels, "\"DownEncoderBlock2D\""),
            Collections.nCopies(levels, "\"UpDecoderBlock2D\"")));
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
