// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Matrix products as cuBLAS defines them, in plain loops. It refuses what makes cuBLAS slower,
 * different or unable to be captured: addresses that are not aligned, and a first call of a kind
 * within a capture.
 *
 * @param made kinds of calls that were made before
 * @param offered whether a product can do more on the way
 */
public record HostBlas(HostDriver driver, Set<Object> made, Predicate<Product> offered)
    implements Blas {
  /** Products of every kind on the stream of a device. */
  public HostBlas(HostDriver driver) {
    this(driver, new HashSet<>(), _ -> true);
  }

  @Override
  public void multiply(
      Matrix a, Matrix b, Matrix c, int m, int n, int k, int batch, Precision precision) {
    check(a, m, k);
    check(b, k, n);
    check(c, m, n);
    if (a.half() != b.half() || c.half() && !a.half()) {
      throw new AssertionError("CUBLAS_STATUS_NOT_SUPPORTED: " + List.of(a, b, c));
    }
    List<Object> kind = new ArrayList<>(List.of(m, n, k, batch, precision));
    for (Matrix one : List.of(a, b, c)) {
      kind.addAll(List.of(one.half(), one.transposed(), one.leading(), one.stride()));
    }
    HostDriver.checkKnown(driver, made, kind);
    driver.enqueue(
        "gemm",
        () -> {
          for (int i = 0; i < batch; i++) {
            double[] rows = factors(a, i, m, k, precision, false);
            double[] columns = factors(b, i, k, n, precision, true);
            for (int row = 0; row < m; row++) {
              for (int column = 0; column < n; column++) {
                double sum = 0;
                for (int j = 0; j < k; j++) {
                  sum += rows[row * k + j] * columns[column * k + j];
                }
                HostDriver.set(
                    c.address(), c.half(), i * c.stride() + row + (long) column * c.leading(), sum);
              }
            }
          }
        });
  }

  @Override
  public boolean does(Product product) {
    return offered.test(product);
  }

  @Override
  public void multiply(Product p, Operands o) {
    if (!does(p) || p.extra() == Extra.SUMS && !p.transposedB()) {
      throw new AssertionError("CUBLAS_STATUS_NOT_SUPPORTED: " + p);
    }
    for (long address : new long[] {o.a(), o.b(), o.c(), o.vector(), o.residual()}) {
      HostDriver.checkAligned(address);
    }
    HostDriver.checkKnown(driver, made, List.of(p, o.residual() == 0));
    driver.enqueue(
        "gemm",
        () -> {
          double[] a =
              factors(matrix(p, o.a(), p.transposedA(), p.m(), p.k()), p.m(), p.k(), p, false);
          double[] b =
              factors(matrix(p, o.b(), p.transposedB(), p.k(), p.n()), p.k(), p.n(), p, true);
          for (int column = 0; column < p.n(); column++) {
            for (int row = 0; row < p.m(); row++) {
              int place = row + column * p.m();
              double sum = o.residual() == 0 ? 0 : HostDriver.get(o.residual(), place);
              sum += p.extra() == Extra.BIAS ? HostDriver.get(o.vector(), row) : 0;
              for (int j = 0; j < p.k(); j++) {
                sum += a[row * p.k() + j] * b[column * p.k() + j];
              }
              HostDriver.set(o.c(), false, place, sum);
            }
            if (p.extra() == Extra.SUMS) {
              int first = column * p.k();
              double sum = Arrays.stream(b, first, first + p.k()).sum();
              HostDriver.set(o.vector(), false, column, sum);
            }
          }
        });
  }

  private static Matrix matrix(Product p, long address, boolean transposed, int rows, int columns) {
    return new Matrix(address, p.half(), transposed, transposed ? columns : rows, 0);
  }

  private static double[] factors(
      Matrix matrix, int rows, int columns, Product p, boolean byColumn) {
    return factors(matrix, 0, rows, columns, p.precision(), byColumn);
  }

  /** What cuBLAS asks of leading dimensions. */
  private static void check(Matrix matrix, int rows, int columns) {
    if (matrix.leading() < Math.max(1, matrix.transposed() ? columns : rows)) {
      throw new AssertionError("CUBLAS_STATUS_INVALID_VALUE: " + matrix);
    }
    HostDriver.checkAligned(matrix.address());
  }

  /** One matrix of a batch, rounded, row after row or column after column. */
  private static double[] factors(
      Matrix matrix, int index, int rows, int columns, Precision precision, boolean byColumn) {
    double[] factors = new double[rows * columns];
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        long place =
            matrix.transposed()
                ? column + (long) row * matrix.leading()
                : row + (long) column * matrix.leading();
        factors[byColumn ? column * rows + row : row * columns + column] =
            Rounding.of(
                precision,
                HostDriver.get(matrix.address(), matrix.half(), index * matrix.stride() + place));
      }
    }
    return factors;
  }

  @Override
  public String describe() {
    return "products in plain loops";
  }

  @Override
  public void close() {}
}
