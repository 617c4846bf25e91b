// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

import java.util.Arrays;
import java.util.stream.IntStream;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;

/**
 * An input of a sample: its shape and how its values are drawn.
 *
 * @param index whether it is an I32 tensor of indices rather than floating-point numbers
 */
public record Input(boolean index, Shape shape, Values values) {
  /** Floating-point numbers. */
  public static Input of(Values values, int... dims) {
    return new Input(false, Shape.of(dims), values);
  }

  /** Standard normal numbers. */
  public static Input normal(int... dims) {
    return of(Values.normal(1), dims);
  }

  /** Numbers between ½ and 2. */
  public static Input positive(int... dims) {
    return of(Values.uniform(0.5, 2), dims);
  }

  /** I32 indices from 0 to {@code bound − 1}. */
  public static Input indices(int bound, int... dims) {
    return new Input(true, Shape.of(dims), Values.below(bound));
  }

  /**
   * The tensor, of values that binary32 holds exactly, so that they are the same on every device.
   */
  public Tensor tensor(Device device, Rng rng, Arrangement arrangement) {
    return switch (arrangement) {
      case CONTIGUOUS -> make(device, draw(rng, shape), shape.dims());
      case TRANSPOSED -> shape.rank() < 2 ? everySecond(device, rng) : transposed(device, rng);
      case SLICED -> sliced(device, rng);
      case EXPANDED -> {
        int[] dims = shape.dims();
        for (int i = 0; i < dims.length; i++) {
          if (dims[i] > 1) {
            dims[i] = 1;
            break;
          }
        }
        Tensor few = make(device, draw(rng, Shape.of(dims)), dims);
        yield few.expand(shape.dims());
      }
    };
  }

  private double[] draw(Rng rng, Shape wanted) {
    double[] drawn = values.draw(rng, Math.toIntExact(wanted.size()));
    return Arrays.stream(drawn).map(x -> (float) x).toArray();
  }

  private Tensor make(Device device, double[] numbers, int... dims) {
    return index
        ? device.indices(Arrays.stream(numbers).mapToInt(x -> (int) x).toArray(), dims)
        : device.tensor(numbers, dims);
  }

  private double gap() {
    return index ? -1 : Double.NaN;
  }

  private Tensor everySecond(Device device, Rng rng) {
    double[] numbers = draw(rng, shape);
    double[] spread = new double[2 * numbers.length];
    Arrays.fill(spread, gap());
    for (int i = 0; i < numbers.length; i++) {
      spread[2 * i] = numbers[i];
    }
    return make(device, spread, numbers.length, 2).slice(1, 0, 1).reshape(shape.dims());
  }

  private Tensor transposed(Device device, Rng rng) {
    double[] numbers = draw(rng, shape);
    int rank = shape.rank();
    int[] axes = IntStream.range(0, rank).map(i -> rank - 1 - i).toArray();
    int[] dims = IntStream.of(axes).map(shape::dim).toArray();
    int[] strides = Shape.of(dims).contiguousStrides();
    double[] moved = new double[numbers.length];
    for (int i = 0; i < numbers.length; i++) {
      int rest = i;
      int to = 0;
      for (int axis = rank - 1; axis >= 0; axis--) {
        to += rest % shape.dim(axis) * strides[rank - 1 - axis];
        rest /= shape.dim(axis);
      }
      moved[to] = numbers[i];
    }
    return make(device, moved, dims).permute(axes);
  }

  /** One more element on both sides of every axis. */
  private Tensor sliced(Device device, Rng rng) {
    double[] numbers = draw(rng, shape);
    int[] dims = shape.rank() == 0 ? new int[] {1} : shape.dims();
    int[] around = IntStream.of(dims).map(d -> d + 2).toArray();
    int[] strides = Shape.of(around).contiguousStrides();
    double[] window = new double[Math.toIntExact(Shape.of(around).size())];
    Arrays.fill(window, gap());
    for (int i = 0; i < numbers.length; i++) {
      int rest = i;
      int to = 0;
      for (int axis = dims.length - 1; axis >= 0; axis--) {
        to += (rest % dims[axis] + 1) * strides[axis];
        rest /= dims[axis];
      }
      window[to] = numbers[i];
    }
    Tensor tensor = make(device, window, around);
    for (int axis = 0; axis < dims.length; axis++) {
      tensor = tensor.slice(axis, 1, dims[axis] + 1);
    }
    return tensor.reshape(shape.dims());
  }

  /** For instance {@code [3, 5]} or {@code I32[7]}. */
  @Override
  public String toString() {
    return (index ? "I32" : "") + shape;
  }
}
