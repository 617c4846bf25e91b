// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Matrix products as cuBLAS defines them, in plain loops. It refuses what makes cuBLAS slower,
 * different or unable to be captured: addresses that are not aligned, and a first call of a kind
 * within a capture.
 *
 * @param made kinds of calls that were made before
 */
public record HostBlas(HostDriver driver, Set<Object> made) implements Blas {
  /** Products on the stream of a device. */
  public HostBlas(HostDriver driver) {
    this(driver, new HashSet<>());
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
