// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/** One number per sample of a batch, shaped to broadcast over it. */
final class Rows {
  private Rows() {}

  /** {@code value(t)} of each sample as {@code [n, 1, …]}; one serves all samples. */
  static Tensor column(Tensor batch, double[] timesteps, DoubleUnaryOperator value) {
    double[] values = Arrays.stream(timesteps).map(value).toArray();
    int[] dims = new int[batch.shape().rank()];
    Arrays.fill(dims, 1);
    dims[0] = values.length;
    return batch.device().tensor(values, dims);
  }

  /** A number per sample {@code [n]} as {@code [n, 1, …]}. */
  static Tensor column(Tensor batch, Tensor values) {
    int[] dims = new int[batch.shape().rank()];
    Arrays.fill(dims, 1);
    dims[0] = values.dim(0);
    return values.reshape(dims);
  }

  /** Each sample times {@code value(t)}. */
  static Tensor times(Tensor batch, double[] timesteps, DoubleUnaryOperator value) {
    return batch.mul(column(batch, timesteps, value));
  }

  /** One timestep per sample, from one for all or one for each. */
  static double[] perSample(String operation, Tensor batch, double... timesteps) {
    int[] places = new int[timesteps.length];
    Arrays.setAll(places, i -> i);
    return Arrays.stream(perSample(operation, batch, places))
        .mapToDouble(i -> timesteps[i])
        .toArray();
  }

  /** One index per sample, from one index for all or one for each. */
  static int[] perSample(String operation, Tensor batch, int... indices) {
    int n = batch.dim(0);
    if (indices.length == 1) {
      int[] all = new int[n];
      Arrays.fill(all, indices[0]);
      return all;
    }
    if (indices.length != n) {
      throw new ReverieException(
          operation
              + ": expected one step for all or "
              + n
              + " for "
              + batch.type()
              + ", got "
              + indices.length);
    }
    return indices;
  }
}
