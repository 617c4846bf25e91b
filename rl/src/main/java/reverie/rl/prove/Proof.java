// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

/**
 * A claim about an objective, carried out and held against what is known on paper. The same seed
 * gives the same bits, so that a proof that holds once holds always.
 */
public interface Proof {
  /** What is claimed, in a few words. */
  String name();

  /** Carries it out. Takes seconds, and belongs to no scope. */
  Result run();

  /**
   * What came out.
   *
   * @param objective its name
   * @param reached the value that training, or the identity's left side, came to
   * @param exact the value that it should be
   * @param error how far everything that was compared is off at most; not less than {@code |reached
   *     - exact|}
   * @param tolerance largest error at which the claim holds: of rounding where the claim is exact,
   *     of chance where samples decide
   */
  record Result(String objective, double reached, double exact, double error, double tolerance) {
    /** A claim about one number. */
    public static Result of(String objective, double reached, double exact, double tolerance) {
      return new Result(objective, reached, exact, Math.abs(reached - exact), tolerance);
    }

    /** Whether the claim holds; a NaN never does. */
    public boolean holds() {
      return error <= tolerance && Double.isFinite(reached);
    }
  }
}
