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

  /** What a {@link Product} does on the way. */
  enum Extra {
    /** Adds a bias [m] to every column of the result, and a residual where there is one. */
    BIAS,
    /**
     * Writes the sums [n] of b's columns, the gradient of a bias; b is transposed where it lies.
     */
    SUMS
  }

  /**
   * {@code c = a·b} with something more, in one pass: a is m×k, b is k×n and c is m×n, each without
   * gaps; c is float32.
   *
   * @param half whether a and b are bfloat16, else float32
   * @param transposedA whether a lies transposed
   * @param transposedB whether b lies transposed
   */
  record Product(
      Extra extra,
      boolean half,
      boolean transposedA,
      boolean transposedB,
      int m,
      int n,
      int k,
      Precision precision) {}

  /**
   * The addresses of a {@link Product}, multiples of 16.
   *
   * @param vector the bias, or where the sums are written, in float32
   * @param residual of c's shape and type; 0 for none
   */
  record Operands(long a, long b, long c, long vector, long residual) {}

  /** Whether a product can do more on the way; {@link #multiply(Product, Operands)} only then. */
  default boolean does(Product product) {
    return false;
  }

  /** Computes such a product. */
  default void multiply(Product product, Operands operands) {
    throw new IllegalStateException("not done in one pass: " + product);
  }

  /** For people: the library's name and version. */
  String describe();

  @Override
  void close();
}
