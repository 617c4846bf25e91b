// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

/** How far a float32 result may be from the float64 reference on the same inputs. */
public sealed interface Tolerance {
  /** Half the distance from 1 to the next float32. */
  double ROUNDING = 0x1p-24;

  /** Elements are moved or chosen, not computed: the reference rounded to float32. */
  record Exact() implements Tolerance {}

  /** {@code |y − ŷ| ≤ relative·|ŷ| + absolute}. */
  record Close(double relative, double absolute) implements Tolerance {}

  /**
   * A sum of this many products: {@code |y − ŷ| ≤ (count + 2)·2⁻²⁴·Σ|terms|}, which holds whatever
   * the order of the sum is; Σ|terms| is the same operation on absolute values.
   */
  record Terms(int count) implements Tolerance {}

  /** {@code |y − ŷ| ≤ relative·max|ŷ|} over an output. */
  record Largest(double relative) implements Tolerance {}
}
