// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

/**
 * The one family of errors: the message says which operation, what was expected and what came; a
 * second line says what to do about it.
 */
public class ReverieException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** An error that speaks for itself: {@code operation: what was expected, what came}. */
  public ReverieException(String message) {
    super(message);
  }

  /** An error with advice: {@code hint} is the one thing to do. */
  public ReverieException(String message, String hint) {
    super(message + "\nhint: " + hint);
  }

  /** An error with advice that was caused by another. */
  public ReverieException(String message, String hint, Throwable cause) {
    super(message + "\nhint: " + hint, cause);
  }
}
