// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import java.util.function.UnaryOperator;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * What a denoiser knows of the time: sine and cosine of the timestep at geometric frequencies
 * (Vaswani et al. 2017, as in Ho et al. 2020), then two linear layers.
 */
public final class TimestepEmbedding {
  private static final float LOG_LONGEST_PERIOD = (float) Math.log(10000);

  private final boolean cosineFirst;
  private final Tensor frequencies;
  private final Linear linear1;
  private final Linear linear2;
  private final UnaryOperator<Tensor> activation;

  /**
   * Makes {@code linear_1} and {@code linear_2}.
   *
   * @param channels sines and cosines together
   * @param size of the embedding
   * @param cosineFirst diffusers' {@code flip_sin_to_cos}
   * @param frequencyShift diffusers' {@code freq_shift}: 1 makes the lowest frequency exactly
   *     1/10000
   */
  public TimestepEmbedding(
      Parameters parameters,
      int channels,
      int size,
      boolean cosineFirst,
      double frequencyShift,
      UnaryOperator<Tensor> activation) {
    if (channels < 2 || channels % 2 != 0 || channels == 2 * frequencyShift) {
      throw new ReverieException(
          "timestep embedding: expected an even number of channels above "
              + (int) (2 * frequencyShift)
              + ", got "
              + channels);
    }
    this.cosineFirst = cosineFirst;
    this.activation = activation;
    int half = channels / 2;
    frequencies =
        parameters.constant(
            (device, _, dims) -> {
              float[] values = new float[half];
              for (int i = 0; i < half; i++) {
                // In float, as diffusers does: a timestep of 1000 would show a difference in the
                // frequencies.
                values[i] =
                    (float) Math.exp(-LOG_LONGEST_PERIOD * i / (float) (half - frequencyShift));
              }
              return device.tensor(values, dims);
            },
            half);
    linear1 = new Linear(parameters.at("linear_1"), channels, size, true);
    linear2 = new Linear(parameters.at("linear_2"), size, size, true);
  }

  /** From timesteps {@code [n]}, which need not be whole, to {@code [n, size]}. */
  public Tensor forward(Tensor timesteps) {
    return linear2.forward(activation.apply(linear1.forward(sinusoid(timesteps))));
  }

  /** Sines and cosines alone: {@code [n, channels]}. */
  public Tensor sinusoid(Tensor timesteps) {
    if (timesteps.shape().rank() != 1 || !timesteps.dtype().isFloating()) {
      throw new ReverieException(
          "timestep embedding: expected floating-point timesteps [n], got " + timesteps.type(),
          "device.tensor(new float[] {…}, n)");
    }
    Tensor angle = timesteps.reshape(timesteps.dim(0), 1).mul(frequencies);
    Tensor first = cosineFirst ? angle.cos() : angle.sin();
    Tensor second = cosineFirst ? angle.sin() : angle.cos();
    return Ops.concat(1, first, second);
  }
}
