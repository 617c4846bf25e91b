// SPDX-License-Identifier: Apache-2.0
package reverie.bench.measure;

import java.util.function.DoubleSupplier;

/**
 * Times of two things taken in turn.
 *
 * @param first milliseconds of each round
 * @param second milliseconds of each round
 */
public record Rounds(double[] first, double[] second) {
  /** Long enough for the threads of one library to stop waiting busily before the other begins. */
  private static final int PAUSE_MILLIS = 60;

  /**
   * Turns until the virtual machine has compiled what stands round the kernels. It spends a tenth
   * of a training step's time or more on that until about the twentieth.
   */
  private static final int WARM_UP = 24;

  /** Steps that take longer than this together spend next to nothing on it. */
  private static final double WARM_UP_MILLIS = 180_000;

  /**
   * Runs both in turn, after turns that do not count; who begins changes every round.
   *
   * @param first gives the milliseconds of one run
   * @param second likewise
   */
  public static Rounds of(DoubleSupplier first, DoubleSupplier second, int rounds) {
    double spent = 0;
    for (int i = 0; i < WARM_UP && spent < WARM_UP_MILLIS; i++) {
      spent += first.getAsDouble() + second.getAsDouble();
    }
    double[] a = new double[rounds];
    double[] b = new double[rounds];
    for (int i = 0; i < rounds; i++) {
      if (i % 2 == 0) {
        a[i] = first.getAsDouble();
        b[i] = second.getAsDouble();
      } else {
        b[i] = second.getAsDouble();
        a[i] = first.getAsDouble();
      }
    }
    return new Rounds(a, b);
  }

  /** Milliseconds of one run after a pause. */
  public static double time(Runnable work) {
    try {
      Thread.sleep(PAUSE_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    long start = System.nanoTime();
    work.run();
    return (System.nanoTime() - start) * 1e-6;
  }
}
