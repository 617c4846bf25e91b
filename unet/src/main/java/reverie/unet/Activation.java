// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import reverie.autograd.nn.GroupNorm;
import reverie.tensor.Tensor;

/** The {@code act_fn} of a configuration. */
public enum Activation {
  /** {@code x·sigmoid(x)}, also called swish. */
  SILU,
  /** {@code x·Φ(x)}, exact. */
  GELU,
  /** {@code max(x, 0)}. */
  RELU;

  /** From the configuration, which has checked the name. */
  public static Activation of(String actFn) {
    return switch (actFn) {
      case "gelu" -> GELU;
      case "relu" -> RELU;
      default -> SILU;
    };
  }

  /** Of every element. */
  public Tensor apply(Tensor x) {
    return switch (this) {
      case GELU -> x.gelu();
      case RELU -> x.relu();
      case SILU -> x.silu();
    };
  }

  /** Of what is normalised. */
  public Tensor apply(GroupNorm norm, Tensor x) {
    return this == SILU ? norm.forwardSilu(x) : apply(norm.forward(x));
  }
}
