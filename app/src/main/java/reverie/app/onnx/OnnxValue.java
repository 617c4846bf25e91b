// SPDX-License-Identifier: Apache-2.0
package reverie.app.onnx;

import java.util.Arrays;

/**
 * What goes into a model or comes out.
 *
 * @param data row by row
 * @param shape its sides
 * @param whole whether the numbers are whole, such as those of tokens
 */
public record OnnxValue(float[] data, long[] shape, boolean whole) {
  /** Numbers of any size. */
  public static OnnxValue of(float[] data, long... shape) {
    return new OnnxValue(data, shape, false);
  }

  /** Whole numbers below 2^24, {@code [1, n]}. */
  public static OnnxValue row(int... numbers) {
    float[] data = new float[numbers.length];
    for (int i = 0; i < data.length; i++) {
      data[i] = numbers[i];
    }
    return new OnnxValue(data, new long[] {1, data.length}, true);
  }

  /** The shape as errors show it. */
  String shown() {
    return Arrays.toString(shape);
  }
}
