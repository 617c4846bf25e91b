// SPDX-License-Identifier: Apache-2.0
package reverie.autograd;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.IntStream;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;

/**
 * Checks gradients against finite differences in float64 on the {@linkplain Device#reference()
 * reference device}, for any function built of tensor operations:
 *
 * <pre>{@code
 * GradCheck.Report report = GradCheck.of(in -> new Tensor[] {in[0].matmul(in[1]).silu()}).check(x, w);
 * report.require(1e-6);
 * }</pre>
 *
 * The derivative is the four-point stencil {@code (f(x−2h) − 8f(x−h) + 8f(x+h) − f(x+2h)) / 12h} of
 * a random weighted sum of all outputs, so that every output counts; its own error is about 1e-11.
 * The function must be smooth within 2h of the inputs.
 */
public final class GradCheck {
  private final Function<Tensor[], Tensor[]> function;
  private final double stepSize;
  private final int mostElements;

  private GradCheck(Function<Tensor[], Tensor[]> function, double stepSize, int mostElements) {
    this.function = function;
    this.stepSize = stepSize;
    this.mostElements = mostElements;
  }

  /** A check of this function, with steps of 1e-3 and at most 64 elements of each input. */
  public static GradCheck of(Function<Tensor[], Tensor[]> function) {
    return new GradCheck(function, 1e-3, 64);
  }

  /** The same with another step h. */
  public GradCheck stepSize(double h) {
    return new GradCheck(function, h, mostElements);
  }

  /**
   * The same with at most this many elements of each input perturbed, drawn at random where there
   * are more.
   */
  public GradCheck mostElements(int most) {
    return new GradCheck(function, stepSize, most);
  }

  /** One input's worst element, by its position in row-major order. */
  public record Row(
      int input, Shape shape, int element, double analytic, double numeric, double relativeError) {
    /** The element's index along each axis. */
    public List<Integer> index() {
      int[] strides = shape.contiguousStrides();
      return IntStream.range(0, shape.rank())
          .mapToObj(axis -> element / strides[axis] % shape.dim(axis))
          .toList();
    }
  }

  /** The worst element of every input. */
  public record Report(List<Row> rows) {
    /**
     * The largest relative error: |analytic − numeric| over the largest gradient of that input, at
     * least 1e-3.
     */
    public double worst() {
      return rows.stream().mapToDouble(Row::relativeError).max().orElse(0);
    }

    /**
     * Does nothing if all gradients agree.
     *
     * @throws ReverieException naming the worst element otherwise
     */
    public void require(double tolerance) {
      for (Row row : rows) {
        if (!(row.relativeError <= tolerance)) {
          throw new ReverieException(
              String.format(
                  Locale.ROOT,
                  "gradcheck: expected gradients within %.1e, got %.3e at %s of input %d (analytic %.12g, numeric %.12g)",
                  tolerance,
                  row.relativeError,
                  row.index(),
                  row.input,
                  row.analytic,
                  row.numeric));
        }
      }
    }

    /** A table: a line for each input. */
    @Override
    public String toString() {
      String line = "%-7s %-16s %-16s %20s %20s %12s\n";
      var table = new StringBuilder();
      table.append(
          String.format(
              Locale.ROOT, line, "input", "shape", "worst at", "analytic", "numeric", "relative"));
      for (Row row : rows) {
        table.append(
            String.format(
                Locale.ROOT,
                line,
                row.input,
                row.shape,
                row.index(),
                String.format(Locale.ROOT, "%.12g", row.analytic),
                String.format(Locale.ROOT, "%.12g", row.numeric),
                String.format(Locale.ROOT, "%.2e", row.relativeError)));
      }
      return table.toString();
    }
  }

  /**
   * Checks the gradients with respect to all floating-point inputs.
   *
   * @throws ReverieException if an input is not on the reference device
   */
  public Report check(Tensor... inputs) {
    for (int i = 0; i < inputs.length; i++) {
      if (inputs[i].device() != Device.reference()) {
        throw new ReverieException(
            "gradcheck: expected inputs on the reference device, got input "
                + i
                + " "
                + inputs[i].type()
                + " on "
                + inputs[i].device(),
            "make them with Device.reference(), in float64: finite differences of float32 are too"
                + " rough to tell a wrong gradient");
      }
    }
    try (Scope _ = Scope.open("gradcheck")) {
      Tensor[] weights = weights(inputs);
      Tensor[] analytic = Tape.pullback(() -> function.apply(inputs), inputs, weights);
      List<Row> rows = new ArrayList<>();
      for (int i = 0; i < inputs.length; i++) {
        if (inputs[i].dtype().isFloating() && inputs[i].size() > 0) {
          double[] gradient =
              analytic[i] == null
                  ? new double[Math.toIntExact(inputs[i].size())]
                  : analytic[i].toDoubles();
          rows.add(worst(i, inputs, gradient, weights));
        }
      }
      return new Report(rows);
    }
  }

  private Tensor[] weights(Tensor[] inputs) {
    Tensor[] outputs = function.apply(inputs);
    Tensor[] weights = new Tensor[outputs.length];
    for (int i = 0; i < outputs.length; i++) {
      weights[i] = Rng.of(11).fork(i).normal(outputs[i].device(), outputs[i].shape().dims());
    }
    return weights;
  }

  private Row worst(int input, Tensor[] inputs, double[] analytic, Tensor[] weights) {
    int[] elements = Rng.of(12).fork(input).permutation(analytic.length);
    double scale = 1e-3;
    for (double g : analytic) {
      scale = Math.max(scale, Math.abs(g));
    }
    Shape shape = inputs[input].shape();
    Row worst = new Row(input, shape, 0, 0, 0, 0);
    for (int k = 0; k < Math.min(mostElements, elements.length); k++) {
      int element = elements[k];
      double numeric = numeric(input, element, inputs, weights);
      double error = Math.abs(analytic[element] - numeric) / scale;
      if (Double.compare(error, worst.relativeError) > 0) { // NaN is the largest
        worst = new Row(input, shape, element, analytic[element], numeric, error);
      }
    }
    return worst;
  }

  private double numeric(int input, int element, Tensor[] inputs, Tensor[] weights) {
    double[] values = inputs[input].toDoubles();
    double centre = values[element];
    double h = stepSize;
    double sum = 0;
    int[] steps = {-2, -1, 1, 2};
    double[] factors = {1, -8, 8, -1};
    for (int k = 0; k < 4; k++) {
      try (Scope _ = Scope.open("perturbed")) {
        values[element] = centre + steps[k] * h;
        Tensor[] moved = inputs.clone();
        moved[input] = inputs[input].device().tensor(values, inputs[input].shape().dims());
        sum += factors[k] * weighted(function.apply(moved), weights);
      }
    }
    return sum / (12 * h);
  }

  private static double weighted(Tensor[] outputs, Tensor[] weights) {
    double sum = 0;
    for (int i = 0; i < outputs.length; i++) {
      double[] y = outputs[i].toDoubles();
      double[] w = weights[i].toDoubles();
      for (int j = 0; j < y.length; j++) {
        sum += w[j] * y[j];
      }
    }
    return sum;
  }
}
