// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

/** Matrix products as cuBLAS defines them, in plain loops. */
public record HostBlas(HostDriver driver) implements Blas {
  @Override
  public void multiply(
      Matrix a, Matrix b, Matrix c, int m, int n, int k, int batch, Precision precision) {
    check(a, m, k);
    check(b, k, n);
    check(c, m, n);
    driver.enqueue(
        "gemm",
        () -> {
          for (int i = 0; i < batch; i++) {
            for (int row = 0; row < m; row++) {
              for (int column = 0; column < n; column++) {
                double sum = 0;
                for (int j = 0; j < k; j++) {
                  sum +=
                      Rounding.of(precision, at(a, i, row, j))
                          * Rounding.of(precision, at(b, i, j, column));
                }
                HostDriver.set(
                    c.address(), i * c.stride() + row + (long) column * c.leading(), sum);
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
  }

  private static double at(Matrix matrix, int index, int row, int column) {
    long place =
        matrix.transposed()
            ? column + (long) row * matrix.leading()
            : row + (long) column * matrix.leading();
    return HostDriver.get(matrix.address(), index * matrix.stride() + place);
  }

  @Override
  public String describe() {
    return "products in plain loops";
  }

  @Override
  public void close() {}
}
