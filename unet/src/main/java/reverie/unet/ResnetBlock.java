// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.util.function.UnaryOperator;
import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.GroupNorm;
import reverie.autograd.nn.Linear;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;

/**
 * diffusers' {@code ResnetBlock2D}: two convolutions, with the time added in between, added to x.
 */
public final class ResnetBlock {
  /**
   * What all of a model have in common.
   *
   * @param groups of the norms
   * @param timeDim size of the embedding of the time; 0 where there is none
   * @param scaleShift whether the time scales and shifts, else it is added
   */
  public record Options(
      int groups, double epsilon, Activation activation, int timeDim, boolean scaleShift) {
    static Options of(UNetConfig config) {
      return new Options(
          config.normNumGroups(),
          config.normEps(),
          config.activation(),
          config.timeEmbeddingDim(),
          config.scaleShift());
    }
  }

  private final Options options;
  private final UnaryOperator<Tensor> resample;
  private final double scale;
  private final GroupNorm norm1;
  private final Conv2d conv1;
  private final Linear time;
  private final GroupNorm norm2;
  private final Conv2d conv2;
  private final Conv2d shortcut;

  /** An ordinary one. */
  public ResnetBlock(Parameters p, Options options, int in, int out) {
    this(p, options, in, out, 1, UnaryOperator.identity());
  }

  /**
   * One that may change the resolution.
   *
   * @param scale divides the sum at the end
   * @param resample applied to x and to what goes into the first convolution
   */
  ResnetBlock(
      Parameters p,
      Options options,
      int in,
      int out,
      double scale,
      UnaryOperator<Tensor> resample) {
    this.options = options;
    this.scale = scale;
    this.resample = resample;
    norm1 = new GroupNorm(p.at("norm1"), options.groups, in, options.epsilon);
    conv1 = new Conv2d(p.at("conv1"), in, out, 3, 1, 1);
    int shifts = options.scaleShift ? 2 * out : out;
    time =
        options.timeDim == 0
            ? null
            : new Linear(p.at("time_emb_proj"), options.timeDim, shifts, true);
    norm2 = new GroupNorm(p.at("norm2"), options.groups, out, options.epsilon);
    conv2 = new Conv2d(p.at("conv2"), out, out, 3, 1, 1);
    shortcut = in == out ? null : new Conv2d(p.at("conv_shortcut"), in, out, 1, 1, 0);
  }

  /**
   * From {@code [n, h, w, in]} to {@code [n, h', w', out]}.
   *
   * @param embedding of the time, after the activation: {@code [n, timeDim]}; null where the block
   *     has none
   */
  public Tensor forward(Tensor x, Tensor embedding) {
    // Without a time, as in autoencoders of large images, the norm may be planned over x if the
    // shortcut was taken before. With one, gradients of x keep the order in which they are added.
    Tensor early = time == null ? shortcut(x) : null;
    Tensor y = between(resample.apply(options.activation.apply(norm1, x)), embedding);
    Tensor kept = early == null ? shortcut(x) : early;
    y = conv2.forward(y, kept);
    return scale == 1 ? y : y.div(scale);
  }

  private Tensor shortcut(Tensor x) {
    Tensor kept = resample.apply(x);
    return shortcut == null ? kept : shortcut.forward(kept);
  }

  /** The first convolution, the shift by the time, and what goes into the second. */
  private Tensor between(Tensor y, Tensor embedding) {
    if (time == null) {
      return options.activation.apply(norm2, conv1.forward(y));
    }
    Tensor timeShift = Ops.repeat(time.forward(embedding), y.dim(0));
    if (!options.scaleShift) {
      return options.activation.apply(norm2, conv1.forwardWithBias(y, timeShift));
    }
    Tensor[] scaleAndShift =
        timeShift.reshape(timeShift.dim(0), 1, 1, timeShift.dim(1)).split(3, 2);
    Tensor normed = norm2.forward(conv1.forward(y));
    return options.activation.apply(normed.mul(scaleAndShift[0].add(1)).add(scaleAndShift[1]));
  }
}
