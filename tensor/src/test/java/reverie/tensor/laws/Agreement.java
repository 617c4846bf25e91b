// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.laws;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.catalog.Arrangement;
import reverie.tensor.catalog.Sample;
import reverie.tensor.catalog.Tolerance;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;
import reverie.tensor.op.Convolution;
import reverie.tensor.op.Creation;
import reverie.tensor.op.CustomOp;
import reverie.tensor.op.DataMovement;
import reverie.tensor.op.ElementWise;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.FeedForwardBackward;
import reverie.tensor.op.Geglu;
import reverie.tensor.op.GegluBackward;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.LayerNormBackward;
import reverie.tensor.op.Linear;
import reverie.tensor.op.LinearGradients;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;
import reverie.tensor.op.Reduction;
import reverie.tensor.op.Softmax;
import reverie.tensor.op.SoftmaxBackward;
import reverie.tensor.op.View;

/** What the reference computes and how far from it a device may be. */
final class Agreement {
  /** What was computed on the reference before: the same for every backend. */
  private static final Map<String, Agreement> KNOWN = new ConcurrentHashMap<>();

  private final Tolerance tolerance;
  private final List<Result> expected;
  private final List<Result> absolute;
  private final double rounding;

  private record Result(Shape shape, double... values) {
    static List<Result> of(Tensor... tensors) {
      return Stream.of(tensors).map(t -> new Result(t.shape(), t.toDoubles())).toList();
    }
  }

  private Agreement(
      Tolerance tolerance, List<Result> expected, List<Result> absolute, double rounding) {
    this.tolerance = tolerance;
    this.expected = expected;
    this.absolute = absolute;
    this.rounding = rounding;
  }

  /** Agreement with a tensor of the reference device. */
  static Agreement with(Tolerance tolerance, Tensor expected) {
    List<Result> results = Result.of(expected);
    return new Agreement(tolerance, results, results, 0);
  }

  /**
   * Agreement with the reference on a sample.
   *
   * @param rounding of the factors of products and, once more, of the result
   */
  static Agreement on(Sample sample, Arrangement arrangement, double rounding) {
    // Of the layouts only the expanded one has values of its own.
    boolean expanded = arrangement == Arrangement.EXPANDED;
    Agreement known =
        KNOWN.computeIfAbsent(sample + " " + expanded, _ -> compute(sample, arrangement));
    return new Agreement(
        known.tolerance, known.expected, known.absolute, roundings(sample.op()) * rounding);
  }

  private static Agreement compute(Sample sample, Arrangement arrangement) {
    Device reference = Device.reference();
    Tensor[] inputs = sample.inputs(reference, arrangement);
    List<Result> expected = Result.of(sample.run(reference, inputs));
    if (!(sample.tolerance() instanceof Tolerance.Terms)) {
      return new Agreement(sample.tolerance(), expected, expected, 0);
    }
    for (int i = 0; i < inputs.length; i++) {
      inputs[i] = inputs[i].dtype().isFloating() ? inputs[i].abs() : inputs[i];
    }
    List<Result> absolute = Result.of(sample.run(reference, inputs));
    return new Agreement(sample.tolerance(), expected, absolute, 0);
  }

  /**
   * How many roundings come between the inputs of an operation and its outputs, where a precision
   * rounds factors of products: of two factors and a result; twice that, and what is multiplied in
   * between, for two products in a row; most where scores of attention, far from 0, become
   * exponents. 0 if it has no products.
   */
  static int roundings(Op op) {
    return switch (op) {
      case Attention _, AttentionBackward _ -> 16;
      case FeedForward _, FeedForwardBackward _ -> 8;
      case Convolution _, Linear _, LinearGradients _, MatMul _ -> 3;
      case Creation _,
          CustomOp _,
          DataMovement _,
          ElementWise _,
          Geglu _,
          GegluBackward _,
          GroupNorm _,
          GroupNormBackward _,
          LayerNorm _,
          LayerNormBackward _,
          Reduction _,
          Softmax _,
          SoftmaxBackward _,
          View _ ->
          0;
    };
  }

  /** Asserts that every output is within the tolerance. */
  void check(String what, Tensor... got) {
    assertEquals(expected.size(), got.length, what + ": number of outputs");
    for (int output = 0; output < got.length; output++) {
      Shape shape = expected.get(output).shape;
      assertEquals(shape, got[output].shape(), what + ": shape of output " + output);
      boolean rounded = got[output].dtype() == DType.F32;
      double[] y = expected.get(output).values;
      double[] z = got[output].toDoubles();
      double[] bounds = bounds(y, absolute.get(output).values);
      for (int i = 0; i < y.length; i++) {
        double nearest = rounded ? (float) y[i] : y[i];
        boolean near = Double.isFinite(nearest) && Math.abs(y[i] - z[i]) <= bounds[i];
        if (!near && nearest != z[i] && !(Double.isNaN(nearest) && Double.isNaN(z[i]))) {
          throw new AssertionError(
              "%s: output %d, element %d of %s: expected %.9g ± %.2g, got %.9g, off by %.3g"
                  .formatted(what, output, i, shape, y[i], bounds[i], z[i], z[i] - y[i]));
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
                c.relative() * Math.abs(y[i]) + c.absolute() + rounding * largest;
            case Tolerance.Largest l -> (l.relative() + rounding) * largest;
            case Tolerance.Terms t ->
                ((t.count() + 2) * Tolerance.ROUNDING + rounding) * absoluteTerms[i];
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

  static void checkBits(String what, List<Tensor> expected, List<Tensor> got) {
    assertEquals(expected.size(), got.size(), what);
    for (int i = 0; i < expected.size(); i++) {
      checkBits(what + ": output " + i, expected.get(i), got.get(i));
    }
  }
}
