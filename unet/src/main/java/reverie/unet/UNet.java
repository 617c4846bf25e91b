// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import reverie.autograd.nn.Context;
import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.GroupNorm;
import reverie.autograd.nn.Parameters;
import reverie.autograd.nn.TimestepEmbedding;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * The U-Net of diffusers, {@code UNet2DModel} or {@code UNet2DConditionModel}: predicts from a
 * noisy image, the time and perhaps a context such as a prompt's tokens. Parameter names are those
 * of diffusers, and its folders are read and written.
 *
 * <pre>{@code
 * try (UNet model = UNet.load(Path.of("sd/unet"), Device.cpu())) {
 *   Tensor noise = model.forward(x, timesteps, tokens);
 * }
 * }</pre>
 */
public final class UNet implements AutoCloseable {
  private final UNetConfig config;
  private final Parameters parameters;
  private final Conv2d convIn;
  private final TimestepEmbedding time;
  private final ClassEmbedding labels;
  private final List<DownBlock> down = new ArrayList<>();
  private final MidBlock mid;
  private final List<UpBlock> up = new ArrayList<>();
  private final GroupNorm normOut;
  private final Conv2d convOut;

  /** A model on these parameters, which it makes, or finds in a copy, and from then on owns. */
  public UNet(UNetConfig config, Parameters parameters) {
    this.config = config;
    this.parameters = parameters;
    int first = config.blockOutChannels().getFirst();
    int kernel = config.convInKernel();
    convIn =
        new Conv2d(
            parameters.at("conv_in"), config.inChannels(), first, kernel, 1, (kernel - 1) / 2);
    time =
        new TimestepEmbedding(
            parameters.at("time_embedding"),
            first,
            config.timeEmbeddingDim(),
            config.flipSinToCos(),
            config.freqShift(),
            outerActivation(config)::apply);
    labels =
        config.classLabels() == ClassLabels.NONE
            ? null
            : new ClassEmbedding(parameters.at("class_embedding"), config, outerActivation(config));
    int channels = first;
    for (int level = 0; level < config.levels(); level++) {
      down.add(new DownBlock(parameters.at("down_blocks", level), config, level, channels));
      channels = config.blockOutChannels().get(level);
    }
    mid = config.midBlockType() == null ? null : new MidBlock(parameters.at("mid_block"), config);
    for (int i = 0; i < config.levels(); i++) {
      up.add(new UpBlock(parameters.at("up_blocks", i), config, i, channels));
      channels = config.blockOutChannels().get(config.levels() - 1 - i);
    }
    normOut =
        new GroupNorm(
            parameters.at("conv_norm_out"), config.normNumGroups(), first, config.normEps());
    kernel = config.convOutKernel();
    convOut =
        new Conv2d(
            parameters.at("conv_out"), first, config.outChannels(), kernel, 1, (kernel - 1) / 2);
  }

  /** A new model with random parameters. */
  public static UNet random(UNetConfig config, Device device, Rng rng) {
    return random(config, device, rng, DType.F32);
  }

  /**
   * A new model with random parameters.
   *
   * @param weights how matrices and kernels are held: see {@link Parameters#zeros(Device, DType)}
   */
  public static UNet random(UNetConfig config, Device device, Rng rng, DType weights) {
    Parameters parameters = Parameters.random(device, rng, weights);
    try {
      return new UNet(config, parameters);
    } catch (RuntimeException e) {
      parameters.close();
      throw e;
    }
  }

  /**
   * A model from a folder of diffusers: {@code config.json} and {@code
   * diffusion_pytorch_model.safetensors}, there or in its subfolder {@code unet}.
   *
   * @throws ReverieException if a file is missing or damaged, or the two do not fit each other
   */
  public static UNet load(Path folder, Device device) {
    return load(folder, device, DType.F32);
  }

  /**
   * As {@link #load(Path, Device)}.
   *
   * @param weights how matrices and kernels are held: see {@link Parameters#zeros(Device, DType)}
   */
  public static UNet load(Path folder, Device device, DType weights) {
    return UNetFolder.load(folder, device, weights);
  }

  /**
   * Writes a folder that {@link #load} and Python's diffusers read. The weights are replaced in one
   * piece.
   */
  public void save(Path folder) {
    UNetFolder.save(this, folder);
  }

  /** A second model with the same values in memory of its own. */
  public UNet copy() {
    UNet copy = new UNet(config, parameters.copy());
    return copy;
  }

  /** A {@link #copy()} that no training changes: the reference model. */
  public UNet frozenCopy() {
    UNet copy = copy();
    copy.parameters.freeze(_ -> true);
    return copy;
  }

  /** The configuration. */
  public UNetConfig config() {
    return config;
  }

  /** All parameters under diffusers' names. */
  public Parameters parameters() {
    return parameters;
  }

  /**
   * The prediction.
   *
   * @param sample {@code [n, h, w, inChannels]}
   * @param timesteps {@code [n]}, floating-point
   * @param context {@code [k·n, tokens, crossAttentionDim]}, usually with k = 1, or {@code [1 + n,
   *     …]}, which is k = 2: the rows of a {@link Context}. Null for a model without
   *     cross-attention
   * @return {@code [k·n, h, w, outChannels]}
   */
  public Tensor forward(Tensor sample, Tensor timesteps, Tensor context) {
    return forward(sample, timesteps, context, null);
  }

  /**
   * The prediction of a model that is conditioned on classes.
   *
   * @param classLabels as many as samples, of the kind that {@code class_embed_type} says: {@code
   *     [n]} numbers of classes in I32, or {@code [n, classes]} weights of each; {@code [n]} or
   *     {@code [n, size]} floating-point; null for a model without classes
   */
  public Tensor forward(Tensor sample, Tensor timesteps, Tensor context, Tensor classLabels) {
    check(sample, timesteps, context);
    Context each = context == null ? null : Context.of(context, sample.dim(0));
    Tensor conditions = time.forward(timesteps);
    if (labels != null) {
      conditions = conditions.add(labels.forward(sample.dim(0), classLabels));
    } else if (classLabels != null) {
      throw new ReverieException(
          "unet: expected no class labels, got " + classLabels.type(),
          "config.json has neither num_class_embeds nor class_embed_type");
    }
    // Every residual block applies the activation to the same embedding; once is enough.
    Tensor embedding = config.activation().apply(conditions);
    Tensor x = convIn.forward(config.centerInputSample() ? sample.mul(2).sub(1) : sample);
    Deque<Tensor> skips = new ArrayDeque<>();
    skips.push(x);
    for (DownBlock block : down) {
      x = block.forward(x, embedding, each, skips);
    }
    if (mid != null) {
      x = mid.forward(x, embedding, each);
    }
    for (UpBlock block : up) {
      x = block.forward(x, embedding, each, skips);
    }
    x = each == null ? x : Ops.repeat(x, each.predictions());
    return convOut.forward(outerActivation(config).apply(normOut, x));
  }

  private void check(Tensor sample, Tensor timesteps, Tensor context) {
    if (sample.shape().rank() != 4 || sample.dim(3) != config.inChannels()) {
      throw new ReverieException(
          "unet: expected a sample [n, h, w, " + config.inChannels() + "], got " + sample.type());
    }
    if (timesteps.shape().rank() != 1 || timesteps.dim(0) != sample.dim(0)) {
      throw new ReverieException(
          "unet: expected timesteps [" + sample.dim(0) + "], got " + timesteps.type());
    }
    if (context == null) {
      return;
    }
    if (!config.conditioned()) {
      throw new ReverieException(
          "unet: expected no context, got " + context.type(), "a UNet2DModel takes none");
    }
    int n = sample.dim(0);
    if (context.shape().rank() != 3 || !Ops.repeats(n, context.dim(0)) && context.dim(0) != n + 1) {
      throw new ReverieException(
          "unet: expected a context ["
              + n
              + ", tokens, "
              + config.crossAttentionDim().getFirst()
              + "], got "
              + context.type(),
          "one for each sample, or several: a multiple of " + n + ", or one for all and " + n);
    }
  }

  /** Around the blocks, a UNet2DModel has SiLU whatever {@code act_fn} says. */
  private static Activation outerActivation(UNetConfig config) {
    return config.conditioned() ? config.activation() : Activation.SILU;
  }

  /** Frees the parameters. */
  @Override
  public void close() {
    parameters.close();
  }
}
