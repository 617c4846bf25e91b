// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.util.Locale;

/**
 * The one family of errors: the message says which operation, what was expected and what came; a
 * second line says what to do about it.
 */
public class ReverieException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private static final int SHOWN = 200;

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

  /**
   * What a file, a user or a program said, as it may stand in a message: control characters are
   * escaped and a long text is cut, so that nothing in it can steer a terminal or fill a log.
   */
  public static String shown(Object value) {
    String text = String.valueOf(value);
    StringBuilder out = new StringBuilder();
    int end = text.offsetByCodePoints(0, Math.min(SHOWN, text.codePointCount(0, text.length())));
    text.substring(0, end)
        .codePoints()
        .forEach(c -> {
          switch (Character.getType(c)) {
            case Character.CONTROL,
                Character.FORMAT,
                Character.SURROGATE,
                Character.LINE_SEPARATOR,
                Character.PARAGRAPH_SEPARATOR ->
                out.append(String.format(Locale.ROOT, "\\u%04x", c));
            default -> out.appendCodePoint(c);
          }
        });
    int left = text.length() - end;
    return left == 0 ? out.toString() : out + "… (" + left + " more)";
  }
}
