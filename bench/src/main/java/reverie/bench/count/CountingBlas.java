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
    long read = bytes(a, m, k, batch) + bytes(b, k, n, batch);
    double flops = 2.0 * m * n * k * batch;
    driver.add("cublas", new Driver.Work(read, bytes(c, m, n, batch), flops, precision));
  }

  @Override
  public boolean does(Product product) {
    return true;
  }

  @Override
  public void multiply(Product p, Operands operands) {
    long c = 4L * p.m() * p.n();
    long factors = (p.half() ? 2L : 4L) * p.k() * (p.m() + p.n());
    long residual = operands.residual() == 0 ? 0 : c;
    double flops = 2.0 * p.m() * p.n() * p.k();
    Driver.Work work =
        switch (p.extra()) {
          case BIAS -> new Driver.Work(factors + residual + 4L * p.m(), c, flops, p.precision());
          case SUMS -> new Driver.Work(factors, c + 4L * p.n(), flops, p.precision());
        };
    driver.add("cublas with " + p.extra().name().toLowerCase(Locale.ROOT), work);
  }

  private static long bytes(Matrix matrix, int rows, int columns, int batch) {
    return (matrix.half() ? 2L : 4L) * rows * columns * (matrix.stride() == 0 ? 1 : batch);
  }

  @Override
  public String describe() {
    return "products counted";
  }

  @Override
  public void close() {}
}
