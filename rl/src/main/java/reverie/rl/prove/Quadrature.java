// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.apache.commons.math3.analysis.integration.gauss.GaussIntegrator;
import org.apache.commons.math3.analysis.integration.gauss.GaussIntegratorFactory;

/**
 * Expectations over two independent standard normal variables, by Gauss and Hermite's rule: exact
 * for polynomials.
 *
 * @param first variable at each point
 * @param second variable at each point
 * @param weights of the points, which add up to 1
 */
public record Quadrature(double[] first, double[] second, double[] weights) {
  /** So many points along each variable. */
  public static Quadrature of(int points) {
    GaussIntegrator rule = new GaussIntegratorFactory().hermite(points);
    int n = points * points;
    double[] first = new double[n];
    double[] second = new double[n];
    double[] weights = new double[n];
    for (int i = 0; i < n; i++) {
      first[i] = Math.sqrt(2) * rule.getPoint(i / points);
      second[i] = Math.sqrt(2) * rule.getPoint(i % points);
      weights[i] = rule.getWeight(i / points) * rule.getWeight(i % points) / Math.PI;
    }
    return new Quadrature(first, second, weights);
  }

  public int size() {
    return weights.length;
  }

  public double mean(IntToDoubleFunction value) {
    return IntStream.range(0, size()).mapToDouble(i -> weights[i] * value.applyAsDouble(i)).sum();
  }
}
