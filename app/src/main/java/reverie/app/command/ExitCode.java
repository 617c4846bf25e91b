// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

/** What the exit codes of {@code reverie} mean. */
final class ExitCode {
  /** Done. */
  static final int OK = 0;

  /** A check was made and failed. */
  static final int FAILED_CHECK = 1;

  /** The command line or the configuration is wrong. */
  static final int USAGE = 2;

  /** A file, a folder, data or a reward is not as it must be. */
  static final int BAD_INPUT = 3;

  /** Reverie itself is at fault. */
  static final int INTERNAL = 70;

  /** Time was up and more is left; the same command goes on (EX_TEMPFAIL of sysexits.h). */
  static final int UNFINISHED = 75;

  /** Stopped by the user. */
  static final int INTERRUPTED = 130;

  private ExitCode() {}
}
