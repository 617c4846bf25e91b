// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import reverie.tensor.cpu.threads.Parallel;

/** Work on elements, or rows, from one to another. */
interface Tasks {
  void run(long first, long end);

  /** Divides {@code count} elements, or rows, into tasks of so many. */
  static void of(Parallel parallel, long count, long perTask, Tasks body) {
    parallel.parallelFor(
        Math.toIntExact((count + perTask - 1) / perTask),
        task -> body.run(task * perTask, Math.min(count, (task + 1) * perTask)));
  }
}
