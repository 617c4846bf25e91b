// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import java.io.FilterWriter;
import java.io.IOException;
import java.io.PrintWriter;
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
          if (isControl(c) || c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE) {
            plain.append(escaped(c));
          } else {
            plain.appendCodePoint(c);
          }
        });
    return plain.toString();
  }

  /** A writer that escapes the same in whatever is printed to it, and cuts nothing. */
  public static PrintWriter writer(PrintWriter to) {
    return new PrintWriter(
        new FilterWriter(to) {
          @Override
          public void write(int c) throws IOException {
            out.write(isControl(c) ? escaped(c) : Character.toString((char) c));
          }

          @Override
          public void write(char[] text, int from, int length) throws IOException {
            for (int i = from; i < from + length; i++) {
              write(text[i]);
            }
          }

          @Override
          public void write(String text, int from, int length) throws IOException {
            write(text.toCharArray(), from, length);
          }
        },
        true);
  }

  private static String escaped(int c) {
    return "\\u" + HexFormat.of().toHexDigits((char) c);
  }

  private static boolean isControl(int c) {
    return Character.isISOControl(c) && c != '\n' && c != '\t'
        || c == 0x061C
        || c >= 0x200E && c <= 0x200F
        || c >= 0x2028 && c <= 0x202E
        || c >= 0x2066 && c <= 0x2069;
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
