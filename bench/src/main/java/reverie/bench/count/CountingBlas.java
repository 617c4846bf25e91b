// SPDX-License-Identifier: Apache-2.0
package reverie.bench.count;

import java.util.Locale;
import reverie.tensor.cuda.driver.Blas;
import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.cuda.driver.Precision;

/** Matrix products that are recorded: every factor is read once, every result written once. */
record CountingBlas(CountingDriver driver) implements Blas {
  @Override
  public void multiply(
      Matrix a, Matrix b, Matrix c, int m, int n, int k, int batch, Precision precision) {
    long elementsA = elements(a, m, k, batch);
    long elementsB = elements(b, k, n, batch);
    long elementsC = elements(c, m, n, batch);
    long read = bytes(a.half()) * elementsA + bytes(b.half()) * elementsB;
    double flops = 2.0 * m * n * k * batch;
    Driver.Work work = new Driver.Work(read, bytes(c.half()) * elementsC, flops, precision);
    long least = bytes(precision == Precision.BF16) * (elementsA + elementsB + elementsC);
    driver.add(new Node("cublas", work, least));
  }

  @Override
  public boolean does(Product product) {
    return true;
  }

  @Override
  public void multiply(Product p, Operands operands) {
    long elements = (long) p.k() * (p.m() + p.n());
    long c = 4L * p.m() * p.n();
    long factors = bytes(p.half()) * elements;
    long residual = operands.residual() == 0 ? 0 : c;
    double flops = 2.0 * p.m() * p.n() * p.k();
    Driver.Work work =
        switch (p.extra()) {
          case BIAS -> new Driver.Work(factors + residual + 4L * p.m(), c, flops, p.precision());
          case SUMS -> new Driver.Work(factors, c + 4L * p.n(), flops, p.precision());
        };
    long least = bytes(p.precision() == Precision.BF16) * (elements + (long) p.m() * p.n());
    driver.add(new Node("cublas with " + p.extra().name().toLowerCase(Locale.ROOT), work, least));
  }

  private static long elements(Matrix matrix, int rows, int columns, int batch) {
    return (long) rows * columns * (matrix.stride() == 0 ? 1 : batch);
  }

  private static long bytes(boolean half) {
    return half ? 2 : 4;
  }

  @Override
  public String describe() {
    return "products counted";
  }

  @Override
  public void close() {}
}
