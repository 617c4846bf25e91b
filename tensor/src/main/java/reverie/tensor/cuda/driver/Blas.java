// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

/** Matrix products on the stream of a {@link Driver}: what Reverie uses of cuBLAS. */
public interface Blas extends AutoCloseable {
  /**
   * A matrix as cuBLAS sees it: column after column.
   *
   * @param address of the first element
   * @param half whether elements are bfloat16, else float32
   * @param transposed whether it is used transposed
   * @param leading elements from one column to the next
   * @param stride elements from one matrix of a batch to the next; 0 for one matrix for all
   */
  record Matrix(long address, boolean half, boolean transposed, int leading, long stride) {}

  /**
   * {@code c = a·b} for every matrix of a batch, with float32 sums; a is m×k, b is k×n and c is
   * m×n. Factors of float32 are rounded as the precision says; either both or none are bfloat16,
   * and c may be so only if they are.
   */
  void multiply(Matrix a, Matrix b, Matrix c, int m, int n, int k, int batch, Precision precision);

  /** For people: the library's name and version. */
  String describe();

  @Override
  void close();
}
