// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import java.util.HexFormat;

/**
 * Text that came from files, prompts and programs, made safe to show: a terminal would take control
 * characters for commands, and a list of a million names hides what went wrong.
 */
public final class PlainText {
  private static final int MAX_LENGTH = 8_000;

  private PlainText() {}

  /**
   * Escapes control characters other than line ends and tabs, and what turns the direction of
   * writing; leaves out the middle of long texts.
   *
   * @param text any text
   * @return what may be printed
   */
  public static String of(String text) {
    StringBuilder plain = new StringBuilder();
    shortened(text)
        .codePoints()
        .forEach(c -> {
          if (c == '\n' || c == '\t' || !isControl(c)) {
            plain.appendCodePoint(c);
          } else {
            plain.append("\\u").append(HexFormat.of().toHexDigits((char) c));
          }
        });
    return plain.toString();
  }

  private static boolean isControl(int c) {
    return Character.isISOControl(c)
        || c == 0x061C
        || c >= 0x200E && c <= 0x200F
        || c >= 0x2028 && c <= 0x202E
        || c >= 0x2066 && c <= 0x2069
        || c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE;
  }

  private static String shortened(String text) {
    int end = MAX_LENGTH / 2;
    return text.length() <= MAX_LENGTH
        ? text
        : text.substring(0, end)
            + " … ("
            + (text.length() - MAX_LENGTH)
            + " characters left out) … "
            + text.substring(text.length() - end);
  }
}
