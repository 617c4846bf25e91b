// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

/** Why a function cannot be captured: it needs values before there are any. */
public final class CaptureException extends ReverieException {
  private static final long serialVersionUID = 1;

  /** A reason, and what to do about it. */
  public CaptureException(String message, String hint) {
    super(message, hint);
  }
}
