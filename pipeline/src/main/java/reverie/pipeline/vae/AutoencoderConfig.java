// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.vae;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import reverie.unet.Activation;
import reverie.unet.ConfigReader;
import reverie.unet.ResnetBlock;

/**
 * The configuration of an autoencoder, from its config.json; what the file leaves out has the
 * default of diffusers' {@code AutoencoderKL}.
 *
 * @param json the whole file
 * @param channels of an image
 * @param latentChannels of a latent
 * @param blockOutChannels one for each level, from the full resolution down
 * @param layersPerBlock residual blocks of a level of the encoder; the decoder's have one more
 * @param sampleSize sides of the images it was trained with
 * @param scalingFactor what latents are multiplied with before diffusion
 * @param forceUpcast whether it is known to overflow in float16
 */
public record AutoencoderConfig(
    String json,
    int channels,
    int outChannels,
    int latentChannels,
    List<Integer> blockOutChannels,
    int layersPerBlock,
    int normNumGroups,
    Activation activation,
    int sampleSize,
    double scalingFactor,
    boolean forceUpcast) {
  private static final String SUBJECT = "autoencoder config";
  private static final double EPSILON = 1e-6;
  private static final Map<String, List<Object>> NEUTRAL =
      Map.of(
          "latents_mean", List.of(),
          "latents_std", List.of(),
          "shift_factor", List.of(),
          "mid_block_add_attention", List.of(true),
          "use_quant_conv", List.of(true),
          "use_post_quant_conv", List.of(true));

  /** Reads a config.json. */
  public static AutoencoderConfig read(Path file) {
    return ConfigReader.read(SUBJECT, file, AutoencoderConfig::parse);
  }

  /** From the text of a config.json. */
  public static AutoencoderConfig parse(String json) {
    ConfigReader c = ConfigReader.parse(SUBJECT, json);
    c.choice("_class_name", "AutoencoderKL", List.of("AutoencoderKL"));
    c.refuse(NEUTRAL);
    List<Integer> channels = c.counts("block_out_channels", List.of(64));
    types(c, "down_block_types", "DownEncoderBlock2D", channels.size());
    types(c, "up_block_types", "UpDecoderBlock2D", channels.size());
    double scaling = c.number("scaling_factor", 0.18215);
    if (!(scaling > 0) || Double.isInfinite(scaling)) {
      throw c.error("scaling_factor", "a positive number", scaling);
    }
    return new AutoencoderConfig(
        json,
        c.count("in_channels", 3),
        c.count("out_channels", 3),
        c.count("latent_channels", 4),
        channels,
        c.count("layers_per_block", 1),
        c.count("norm_num_groups", 32),
        Activation.of(c.choice("act_fn", "silu", List.of("silu", "swish", "gelu", "relu"))),
        c.count("sample_size", 32),
        scaling,
        c.flag("force_upcast", true));
  }

  private static void types(ConfigReader c, String key, String supported, int levels) {
    List<String> types = c.texts(key, List.of(supported));
    if (types.size() != levels || !types.stream().allMatch(supported::equals)) {
      throw c.error(key, levels + " times " + supported + ", as many as block_out_channels", types);
    }
  }

  /** Pixels of an image beside one of a latent, in each direction. */
  public int reduction() {
    return 1 << blockOutChannels.size() - 1;
  }

  /** What the residual blocks have in common. */
  ResnetBlock.Options resnets() {
    return new ResnetBlock.Options(normNumGroups, EPSILON, activation, 0, false);
  }

  /** What the norms add to the variance. */
  double epsilon() {
    return EPSILON;
  }
}
