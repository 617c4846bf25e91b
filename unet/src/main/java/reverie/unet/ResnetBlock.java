// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.util.function.UnaryOperator;
import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.GroupNorm;
import reverie.autograd.nn.Linear;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;

/** diffusers' {@code ResnetBlock2D}: two convolutions, told the time in between, added to x. */
final class ResnetBlock {
  private final UNetConfig config;
  private final UnaryOperator<Tensor> resample;
  private final double scale;
  private final GroupNorm norm1;
  private final Conv2d conv1;
  private final Linear time;
  private final GroupNorm norm2;
  private final Conv2d conv2;
  private final Conv2d shortcut;

  /** An ordinary one. */
  ResnetBlock(Parameters p, UNetConfig config, int in, int out) {
    this(p, config, in, out, 1, UnaryOperator.identity());
  }

  /**
   * One that may change the resolution.
   *
   * @param scale divides the sum at the end
   * @param resample applied to x and to what goes into the first convolution
   */
  ResnetBlock(
      Parameters p,
      UNetConfig config,
      int in,
      int out,
      double scale,
      UnaryOperator<Tensor> resample) {
    this.config = config;
    this.scale = scale;
    this.resample = resample;
    norm1 = new GroupNorm(p.at("norm1"), config.normNumGroups(), in, config.normEps());
    conv1 = new Conv2d(p.at("conv1"), in, out, 3, 1, 1);
    int told = config.scaleShift() ? 2 * out : out;
    time = new Linear(p.at("time_emb_proj"), config.timeEmbeddingDim(), told, true);
    norm2 = new GroupNorm(p.at("norm2"), config.normNumGroups(), out, config.normEps());
    conv2 = new Conv2d(p.at("conv2"), out, out, 3, 1, 1);
    shortcut = in == out ? null : new Conv2d(p.at("conv_shortcut"), in, out, 1, 1, 0);
  }

  /**
   * From {@code [n, h, w, in]} to {@code [n, h', w', out]}.
   *
   * @param embedding of the time, after the activation: {@code [n, timeEmbeddingDim]}
   */
  Tensor forward(Tensor x, Tensor embedding) {
    Tensor y = resample.apply(UNet.activated(config, norm1, x));
    Tensor told = Ops.repeat(time.forward(embedding), x.dim(0));
    if (config.scaleShift()) {
      Tensor[] scaleAndShift = told.reshape(told.dim(0), 1, 1, told.dim(1)).split(3, 2);
      y = norm2.forward(conv1.forward(y)).mul(scaleAndShift[0].add(1)).add(scaleAndShift[1]);
      y = UNet.activation(config).apply(y);
    } else {
      y = UNet.activated(config, norm2, conv1.forwardTold(y, told));
    }
    Tensor kept = resample.apply(x);
    kept = shortcut == null ? kept : shortcut.forward(kept);
    y = conv2.forward(y, kept);
    return scale == 1 ? y : y.div(scale);
  }
}
