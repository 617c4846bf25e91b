// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.spi;

/** A list of operations on fixed memory, prepared to be carried out again and again. */
public interface Replay extends AutoCloseable {
  /**
   * Carries out all operations in their order, without allocating.
   *
   * @param nanos null, or where to add how long each operation took; measuring may wait after each
   */
  void run(long[] nanos);

  /** Frees what was prepared; the memory of the operations belongs to others. */
  @Override
  void close();
}
