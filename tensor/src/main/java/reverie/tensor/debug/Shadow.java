// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.debug;

import java.util.Arrays;
import java.util.Collections;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import reverie.tensor.Device;
import reverie.tensor.Direct;
import reverie.tensor.Interpreter;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.op.Op;

/**
 * Carries out every operation a second time, on the same inputs, on the float64 reference, and
 * stops where the results differ by more than a tolerance: which operation is it that is wrong on
 * this device? Errors do not add up from one operation to the next. Slow: for small models.
 */
public final class Shadow implements Interpreter {
  private final Interpreter next;
  private final double tolerance;
  private final Map<String, Double> worst = new TreeMap<>();

  /**
   * A shadow of another interpreter.
   *
   * @param tolerance the largest difference, relative to the largest element of an output; 1e-4
   *     suits float32
   */
  public Shadow(Interpreter next, double tolerance) {
    this.next = next;
    this.tolerance = tolerance;
  }

  /** The largest relative difference of every operation so far. */
  public Map<String, Double> worst() {
    return Collections.unmodifiableMap(worst);
  }

  @Override
  public Tensor[] apply(Device device, Op op, Tensor... inputs) {
    double[][] expected = expected(op, inputs);
    Tensor[] outputs = next.apply(device, op, inputs);
    compare(op, expected, inputs, outputs);
    return outputs;
  }

  @Override
  public void update(Op op, Tensor[] targets, Tensor... inputs) {
    double[][] expected = expected(op, inputs);
    next.update(op, targets, inputs);
    compare(op, expected, inputs, targets);
  }

  private static double[][] expected(Op op, Tensor... inputs) {
    return Interpreter.with(
        Direct.INSTANCE,
        () -> {
          try (Scope _ = Scope.open("shadow")) {
            Tensor[] copies = Stream.of(inputs).map(Shadow::onReference).toArray(Tensor[]::new);
            Tensor[] outputs = Direct.INSTANCE.apply(Device.reference(), op, copies);
            return Arrays.stream(outputs).map(Tensor::toDoubles).toArray(double[][]::new);
          }
        });
  }

  private static Tensor onReference(Tensor t) {
    int[] dims = t.shape().dims();
    return t.dtype().isFloating()
        ? Device.reference().tensor(t.toDoubles(), dims)
        : Device.reference().indices(t.toInts(), dims);
  }

  private void compare(Op op, double[][] expected, Tensor[] inputs, Tensor[] outputs) {
    for (int output = 0; output < outputs.length; output++) {
      double[] y = expected[output];
      double[] z = Interpreter.with(Direct.INSTANCE, outputs[output]::toDoubles);
      double largest = Arrays.stream(y).map(Math::abs).filter(Double::isFinite).max().orElse(0);
      for (int i = 0; i < y.length; i++) {
        double error = Double.compare(y[i], z[i]) == 0 ? 0 : Math.abs(z[i] - y[i]) / largest;
        if (y[i] != z[i] && !(error <= tolerance)) {
          throw new ReverieException(
              String.format(
                  Locale.ROOT,
                  "%s: expected %.9g as on the reference, got %.9g at element %d of output %d %s of %s",
                  op.name(),
                  y[i],
                  z[i],
                  i,
                  output,
                  outputs[output].type(),
                  Arrays.stream(inputs).map(Tensor::type).toList()));
        }
        worst.merge(op.name(), y[i] == z[i] ? 0 : error, Math::max);
      }
    }
  }
}
