// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Configurations that several tests use. */
final class Configs {
  private Configs() {}

  /** The unet/config.json of Stable Diffusion 1.x, as its pipelines ship it. */
  static UNetConfig stableDiffusion1() {
    return UNetConfig.parse(
        """
        {
          "_class_name": "UNet2DConditionModel",
          "_diffusers_version": "0.6.0",
          "act_fn": "silu",
          "attention_head_dim": 8,
          "block_out_channels": [320, 640, 1280, 1280],
          "center_input_sample": false,
          "cross_attention_dim": 768,
          "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
            "CrossAttnDownBlock2D", "DownBlock2D"],
          "downsample_padding": 1,
          "flip_sin_to_cos": true,
          "freq_shift": 0,
          "in_channels": 4,
          "layers_per_block": 2,
          "mid_block_scale_factor": 1,
          "norm_eps": 1e-05,
          "norm_num_groups": 32,
          "out_channels": 4,
          "sample_size": 64,
          "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D",
            "CrossAttnUpBlock2D"]
        }
        """);
  }

  /** Two levels, 8 and 16 channels, one head of attention in the middle only. */
  static Map<String, Object> plain() {
    Map<String, Object> c = new LinkedHashMap<>();
    c.put("_class_name", "UNet2DModel");
    c.put("block_out_channels", List.of(8, 16));
    c.put("layers_per_block", 1);
    c.put("norm_num_groups", 4);
    c.put("down_block_types", List.of("DownBlock2D", "DownBlock2D"));
    c.put("up_block_types", List.of("UpBlock2D", "UpBlock2D"));
    c.put("sample_size", 8);
    return c;
  }

  /** Two levels with cross-attention to 12 channels in the first. */
  static Map<String, Object> conditioned() {
    Map<String, Object> c = plain();
    c.put("_class_name", "UNet2DConditionModel");
    c.put("cross_attention_dim", 12);
    c.put("attention_head_dim", 2);
    c.put("down_block_types", List.of("CrossAttnDownBlock2D", "DownBlock2D"));
    c.put("up_block_types", List.of("UpBlock2D", "CrossAttnUpBlock2D"));
    return c;
  }

  static UNetConfig with(Map<String, Object> config, String key, Object value) {
    config.put(key, value);
    return UNetConfig.of(config);
  }
}
