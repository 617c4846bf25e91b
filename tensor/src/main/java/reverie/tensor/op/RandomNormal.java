// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/**
 * Standard normal numbers by Philox4x32-10 and Box–Muller. Row i of the result (its first axis) is
 * the start of the sequence of {@code (seeds[i], streams[i])}, whatever the other rows are; see
 * {@link reverie.tensor.Philox}.
 */
public record RandomNormal(Device device, long[] seeds, long[] streams, Shape shape) implements Op {
  /** Checks that every row has its sequence. */
  public RandomNormal {
    if (shape.rank() == 0 || shape.dim(0) != seeds.length || seeds.length != streams.length) {
      throw new ReverieException(
          "random_normal: expected one seed and stream per row of "
              + shape
              + ", got "
              + seeds.length
              + " and "
              + streams.length);
    }
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 0, 0);
    return Rule.one(new TensorType(device.floatType(), shape));
  }
}
