// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.vae;

import java.lang.invoke.MethodHandles;
import java.util.function.UnaryOperator;
import reverie.autograd.Tape;
import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.graph.CapturedFunction;
import reverie.tensor.op.Copy;
import reverie.unet.AttentionBlock;

/**
 * The autoencoder of Stable Diffusion, diffusers' {@code AutoencoderKL} (Rombach et al. 2022):
 * images in [−1, 1] and latents that are {@link AutoencoderConfig#reduction()} times smaller on
 * each side. Latents here are as the network has them, not multiplied with the scaling factor.
 * Parameter names are those of today's diffusers.
 */
public final class Autoencoder implements AutoCloseable {
  /** Latents of a side that are decoded whole on any machine: 512 pixels of Stable Diffusion. */
  private static final int MIN_TILE = 64;

  private static final double LOG_VARIANCE_MIN = -30;
  private static final double LOG_VARIANCE_MAX = 20;

  private final AutoencoderConfig config;
  private final Parameters parameters;
  private final Encoder encoder;
  private final Conv2d quantConv;
  private final Conv2d postQuantConv;
  private final Decoder decoder;

  /**
   * What an image may be encoded as: a Gaussian for each element.
   *
   * @param mean {@code [n, h, w, latentChannels]}
   * @param logVariance the like, clamped to [−30, 20]
   */
  public record Posterior(Tensor mean, Tensor logVariance) {
    /** The latents that this noise makes. */
    public Tensor sample(Tensor noise) {
      return mean.add(logVariance.mul(0.5).exp().mul(noise));
    }
  }

  /** A model on these parameters, which it makes, or finds in a copy, and from then on owns. */
  public Autoencoder(AutoencoderConfig config, Parameters parameters) {
    this(config, parameters, true);
  }

  private Autoencoder(AutoencoderConfig config, Parameters parameters, boolean encodes) {
    this.config = config;
    this.parameters = parameters;
    int latent = config.latentChannels();
    encoder = encodes ? new Encoder(parameters.at("encoder"), config) : null;
    quantConv =
        encodes ? new Conv2d(parameters.at("quant_conv"), 2 * latent, 2 * latent, 1, 1, 0) : null;
    decoder = new Decoder(parameters.at("decoder"), config);
    postQuantConv = new Conv2d(parameters.at("post_quant_conv"), latent, latent, 1, 1, 0);
  }

  /** One without the encoder, which only decodes. */
  public static Autoencoder decoder(AutoencoderConfig config, Parameters parameters) {
    return new Autoencoder(config, parameters, false);
  }

  /** The parameter that a tensor of a file belongs to, by today's or an older name. */
  public static String parameterName(String name) {
    return AttentionBlock.currentName(name);
  }

  /** The configuration. */
  public AutoencoderConfig config() {
    return config;
  }

  /** All parameters under diffusers' names. */
  public Parameters parameters() {
    return parameters;
  }

  /**
   * What images may be encoded as.
   *
   * @param images {@code [n, h, w, channels]} in [−1, 1], with sides that are multiples of the
   *     reduction
   */
  public Posterior encode(Tensor images) {
    requireImages(images);
    return posterior(encoder.layers().forward(images));
  }

  private void requireImages(Tensor images) {
    if (encoder == null) {
      throw new ReverieException("autoencoder: this one only decodes");
    }
    int reduction = config.reduction();
    if (images.shape().rank() != 4
        || images.dim(3) != config.channels()
        || images.dim(1) % reduction != 0
        || images.dim(2) % reduction != 0) {
      throw new ReverieException(
          "autoencoder: expected images [n, h, w, "
              + config.channels()
              + "] with sides that are multiples of "
              + reduction
              + ", got "
              + images.type(),
          "resize or crop them first");
    }
  }

  private Posterior posterior(Tensor encoded) {
    Tensor[] moments = quantConv.forward(encoded).split(3, 2);
    return new Posterior(moments[0], moments[1].clamp(LOG_VARIANCE_MIN, LOG_VARIANCE_MAX));
  }

  /**
   * Images of latents: {@code [n, reduction·h, reduction·w, channels]}, about in [−1, 1].
   *
   * @param latents {@code [n, h, w, latentChannels]}
   */
  public Tensor decode(Tensor latents) {
    requireLatents(latents);
    return decoder.layers().forward(postQuantConv.forward(latents));
  }

  private void requireLatents(Tensor latents) {
    if (latents.shape().rank() != 4 || latents.dim(3) != config.latentChannels()) {
      throw new ReverieException(
          "autoencoder: expected latents [n, h, w, "
              + config.latentChannels()
              + "], got "
              + latents.type());
    }
  }

  private record Input(Tensor x) {}

  private record Output(Tensor y) {}

  /**
   * A network without gradients, captured for this call alone: memory is planned, and given back to
   * whatever comes between two images.
   */
  private static Tensor inPlannedMemory(UnaryOperator<Tensor> network, Tensor x) {
    return Tape.noGradient(() -> {
      try (var once =
          new CapturedFunction<>(
              MethodHandles.lookup(), x.device(), (Input in) -> new Output(network.apply(in.x)))) {
        return Ops.apply(new Copy(), once.run(new Input(x)).y);
      }
    });
  }

  /**
   * {@link #decode} without gradients, one image after the other, in planned memory; images of more
   * than one and a half times the size that the model was trained with, or of more than 96 latents
   * a side, in overlapping tiles, so that memory is bounded. Norms and attention see one tile each,
   * so that tiles are not what the whole would give.
   *
   * @throws ReverieException if an image is not finite
   */
  public Tensor decodeEach(Tensor latents) {
    requireLatents(latents);
    requireFinite("latent", latents, "the denoiser diverged: lower the learning rate");
    int n = latents.dim(0);
    int side = Math.max(MIN_TILE, config.sampleSize() / config.reduction());
    UnaryOperator<Tensor> decoder = part -> inPlannedMemory(this::decode, part);
    TiledDecoding tiles = new TiledDecoding(decoder, side, config.reduction());
    Tensor[] images = new Tensor[n];
    for (int i = 0; i < n; i++) {
      try (Scope scope = Scope.open("decode")) {
        Tensor one = latents.slice(0, i, i + 1);
        images[i] =
            scope.keep((tiles.suits(one) ? tiles.decode(one) : decoder.apply(one)).contiguous());
      }
    }
    Tensor all = n == 1 ? images[0] : Ops.concat(0, images);
    requireFinite("image", all, "the autoencoder's weights are damaged");
    return all;
  }

  /**
   * Means of {@link #encode} without gradients, one image after the other.
   *
   * @param images {@code [n, h, w, channels]} in [−1, 1]
   */
  public Tensor encodeEach(Tensor images) {
    requireImages(images);
    int n = images.dim(0);
    Tensor[] latents = new Tensor[n];
    for (int i = 0; i < n; i++) {
      try (Scope scope = Scope.open("encode")) {
        Tensor one = images.slice(0, i, i + 1);
        latents[i] = scope.keep(inPlannedMemory(image -> encode(image).mean(), one));
      }
    }
    return n == 1 ? latents[0] : Ops.concat(0, latents);
  }

  private static void requireFinite(String what, Tensor values, String hint) {
    float[] all = values.toFloats();
    int each = all.length / Math.max(1, values.dim(0));
    for (int i = 0; i < all.length; i++) {
      if (!Float.isFinite(all[i])) {
        throw new ReverieException(
            "autoencoder: " + what + " " + i / each + " of " + values.dim(0) + " holds " + all[i],
            hint);
      }
    }
  }

  /** Frees the parameters. */
  @Override
  public void close() {
    parameters.close();
  }
}
