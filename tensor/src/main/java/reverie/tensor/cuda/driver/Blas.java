// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

/** Matrix products on the stream of a {@link Driver}: what Reverie uses of cuBLAS. */
public interface Blas extends AutoCloseable {
  /**
   * A matrix as cuBLAS sees it: column after column.
   *
   * @param address of the first element
   * @param transposed whether it is used transposed
   * @param leading elements from one column to the next
   * @param stride elements from one matrix of a batch to the next; 0 for one matrix for all
   */
  record Matrix(long address, boolean transposed, int leading, long stride) {}

  /**
   * {@code c = a·b} for every matrix of a batch, in float32 with float32 sums; a is m×k, b is k×n
   * and c is m×n. What precedes the sums is rounded as the precision says.
   */
  void multiply(Matrix a, Matrix b, Matrix c, int m, int n, int k, int batch, Precision precision);

  /** For people: the library's name and version. */
  String describe();

  @Override
  void close();
}
