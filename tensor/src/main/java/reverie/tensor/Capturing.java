// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.util.function.Supplier;

/**
 * Whether the running code is being captured, whatever interpreter it runs under: then there are
 * shapes alone, and values can neither be read nor come from the host.
 */
public final class Capturing {
  private static final ScopedValue<Boolean> ACTIVE = ScopedValue.newInstance();

  private Capturing() {}

  /** Runs {@code body} as code that is being captured. */
  public static <T> T run(Supplier<T> body) {
    refuseNested();
    return ScopedValue.where(ACTIVE, true).call(body::get);
  }

  /**
   * Refuses to capture or replay inside a step that is being captured.
   *
   * @throws CaptureException if this one is
   */
  public static void refuseNested() {
    refuse(
        "captured step: expected no captured step inside another",
        "call the function of the inner step instead");
  }

  /** Whether this is code that is being captured. */
  public static boolean isActive() {
    return ACTIVE.isBound();
  }

  static void refuseUpload(String operation) {
    refuse(
        operation + ": values of the host would be the same in every run of a captured step",
        "make the tensor outside, before; between runs change it with assign");
  }

  static void refuseDownload(TensorType type) {
    refuse(
        "captured step: the values of " + type + " were read, but nothing is computed yet",
        "let the step return the tensor and read it after run(); decide with Ops.where inside");
  }

  static void refuseRandom() {
    refuse(
        "rng: random numbers would be the same in every run of a captured step",
        "draw them outside, before, and change them with assign between runs");
  }

  private static void refuse(String what, String hint) {
    if (isActive()) {
      throw new CaptureException(what, hint);
    }
  }
}
