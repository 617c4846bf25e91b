// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/** From samples in [−1, 1], as pixel diffusion models make them, to images. */
public final class Decoding {
  private Decoding() {}

  /** {@code x/2 + 0.5}, not clamped: what rewards that want more than eight bits see. */
  public static Tensor unit(Tensor x) {
    return x.mul(0.5).add(0.5);
  }

  /**
   * Eight bits: {@code round(255·clamp(x/2 + 0.5, 0, 1))}, ties to even, in row-major order.
   *
   * @throws ReverieException if a value is NaN or infinite, with the sample it is in
   */
  public static byte[] bytes(Tensor x) {
    float[] values = x.toFloats();
    byte[] out = new byte[values.length];
    int perSample = values.length / Math.max(1, x.dim(0));
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        throw new ReverieException(
            "decoding: sample " + i / perSample + " of " + x.dim(0) + " holds " + values[i],
            "the model diverged: lower the learning rate or clip the gradient");
      }
      out[i] = (byte) Math.rint(255f * Math.clamp(values[i] / 2 + 0.5f, 0f, 1f));
    }
    return out;
  }
}
