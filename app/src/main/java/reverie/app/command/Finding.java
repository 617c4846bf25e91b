// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.util.Locale;

/**
 * What the doctor found about one thing.
 *
 * @param state how it is
 * @param subject what was looked at
 * @param detail what was found
 * @param hint what to do; empty when all is well
 */
record Finding(State state, String subject, String detail, String hint) {
  enum State {
    /** As it should be. */
    OK,
    /** Works, but not as well as it could. */
    WARNING,
    /** Does not work. */
    PROBLEM
  }

  static Finding ok(String subject, String detail) {
    return new Finding(State.OK, subject, detail, "");
  }

  static Finding warning(String subject, String detail, String hint) {
    return new Finding(State.WARNING, subject, detail, hint);
  }

  static Finding problem(String subject, String detail, String hint) {
    return new Finding(State.PROBLEM, subject, detail, hint);
  }

  @Override
  public String toString() {
    String mark =
        switch (state) {
          case OK -> "ok     ";
          case WARNING -> "warning";
          case PROBLEM -> "PROBLEM";
        };
    String line = String.format(Locale.ROOT, "%s  %-14s %s", mark, subject, detail);
    return hint.isEmpty() ? line : line + "\n" + " ".repeat(24) + "hint: " + hint;
  }
}
