// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.laws;

import static org.junit.jupiter.api.Assertions.assertEquals;

import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Tensor;
import reverie.tensor.catalog.Arrangement;
import reverie.tensor.catalog.Sample;
import reverie.tensor.catalog.Tolerance;

/** What the reference computes and how far from it a device may be. */
final class Agreement {
  /**
   * What rounding grows by between the inputs of an operation and its outputs: most where scores of
   * attention, far from 0, become exponents.
   */
  private static final int ROUNDINGS = 16;

  private final Tolerance tolerance;
  private final Tensor[] expected;
  private final Tensor[] absolute;
  private final double rounding;

  /** Agreement with these tensors of the reference device. */
  Agreement(Tolerance tolerance, Tensor... expected) {
    this.tolerance = tolerance;
    this.expected = expected;
    this.absolute = expected;
    rounding = 0;
  }

  /**
   * Agreement with the reference on a sample.
   *
   * @param rounding of the factors of products and, once more, of the result
   */
  Agreement(Sample sample, Arrangement arrangement, double rounding) {
    this.rounding = rounding;
    Device reference = Device.reference();
    Tensor[] inputs = sample.inputs(reference, arrangement);
    tolerance = sample.tolerance();
    expected = sample.run(reference, inputs);
    if (tolerance instanceof Tolerance.Terms) {
      for (int i = 0; i < inputs.length; i++) {
        inputs[i] = inputs[i].dtype().isFloating() ? inputs[i].abs() : inputs[i];
      }
    }
    absolute = tolerance instanceof Tolerance.Terms ? sample.run(reference, inputs) : expected;
  }

  /** Asserts that every output is within the tolerance. */
  void check(String what, Tensor... got) {
    assertEquals(expected.length, got.length, what + ": number of outputs");
    for (int output = 0; output < got.length; output++) {
      assertEquals(
          expected[output].shape(), got[output].shape(), what + ": shape of output " + output);
      boolean rounded = got[output].dtype() == DType.F32;
      double[] y = expected[output].toDoubles();
      double[] z = got[output].toDoubles();
      double[] bounds = bounds(y, absolute[output].toDoubles());
      for (int i = 0; i < y.length; i++) {
        double nearest = rounded ? (float) y[i] : y[i];
        boolean near = Double.isFinite(nearest) && Math.abs(y[i] - z[i]) <= bounds[i];
        if (!near && nearest != z[i] && !(Double.isNaN(nearest) && Double.isNaN(z[i]))) {
          throw new AssertionError(
              "%s: output %d, element %d of %s: expected %.9g ± %.2g, got %.9g, off by %.3g"
                  .formatted(
                      what,
                      output,
                      i,
                      expected[output].shape(),
                      y[i],
                      bounds[i],
                      z[i],
                      z[i] - y[i]));
        }
      }
    }
  }

  private double[] bounds(double[] y, double[] absoluteTerms) {
    double largest = 0;
    for (double v : y) {
      largest = Math.max(largest, Double.isFinite(v) ? Math.abs(v) : 0);
    }
    double[] bounds = new double[y.length];
    for (int i = 0; i < y.length; i++) {
      bounds[i] =
          switch (tolerance) {
            case Tolerance.Exact _ -> 0;
            case Tolerance.Close c ->
                c.relative() * Math.abs(y[i]) + c.absolute() + ROUNDINGS * rounding * largest;
            case Tolerance.Largest l -> (l.relative() + ROUNDINGS * rounding) * largest;
            case Tolerance.Terms t ->
                ((t.count() + 2) * Tolerance.ROUNDING + ROUNDINGS * rounding) * absoluteTerms[i];
          };
    }
    return bounds;
  }

  /**
   * Asserts that outputs are not finite in the same places, and in the same way if {@code exactly}:
   * NaN, +∞ or −∞.
   */
  static void checkClasses(String what, boolean exactly, Tensor[] expected, Tensor[] got) {
    for (int output = 0; output < got.length; output++) {
      double[] y = expected[output].toDoubles();
      double[] z = got[output].toDoubles();
      for (int i = 0; i < y.length; i++) {
        boolean same =
            Double.isFinite(y[i]) || !exactly
                ? Double.isFinite(y[i]) == Double.isFinite(z[i])
                : Double.compare(y[i], z[i]) == 0;
        if (!same) {
          throw new AssertionError(
              "%s: output %d, element %d of %s: expected %s, got %s"
                  .formatted(what, output, i, expected[output].shape(), y[i], z[i]));
        }
      }
    }
  }

  /** Asserts that two tensors hold the same bits. */
  static void checkBits(String what, Tensor expected, Tensor got) {
    double[] y = expected.toDoubles();
    double[] z = got.toDoubles();
    assertEquals(y.length, z.length, what);
    for (int i = 0; i < y.length; i++) {
      if (Double.doubleToLongBits(y[i]) != Double.doubleToLongBits(z[i])) {
        throw new AssertionError(
            "%s: element %d of %s: expected the bits of %s, got %s"
                .formatted(what, i, expected.shape(), y[i], z[i]));
      }
    }
  }
}
