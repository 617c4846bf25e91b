// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.Serializable;

/**
 * How a gradient is cut to be summed on several executors.
 *
 * @param count of ranges of about the same size
 * @param floats of the gradient
 */
record Ranges(int count, int floats) implements Serializable {
  /** What all tasks together have of a range, which one executor takes to add it. */
  private static final long MOST_BYTES = 128L << 20;

  /**
   * One range, as long as the driver can take the gradients of all tasks; else one for each task or
   * more.
   *
   * @param collected bytes that the driver takes in an update
   */
  static Ranges of(int floats, int tasks, long collected) {
    long bytes = (long) floats * Float.BYTES * tasks;
    long count = bytes <= collected ? 1 : Math.max(tasks, Math.ceilDiv(bytes, MOST_BYTES));
    return new Ranges((int) Math.min(count, floats), floats);
  }

  /** Where a range begins; of the number after the last, where it ends. */
  int start(int range) {
    return Math.toIntExact((long) range * floats / count);
  }
}
