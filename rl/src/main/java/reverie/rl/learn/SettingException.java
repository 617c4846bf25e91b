// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import reverie.tensor.ReverieException;

/** A setting that is out of its range. */
public final class SettingException extends ReverieException {
  private static final long serialVersionUID = 1;

  private final String setting;
  private final String problem;

  SettingException(String setting, String expected, Object got) {
    super("trainer: expected " + setting + " " + expected + ", got " + got);
    this.setting = setting;
    problem = "must be " + expected + ", but is " + got;
  }

  /** The component of {@link TrainerSettings}. */
  public String setting() {
    return setting;
  }

  /** What was expected of it and what came. */
  public String problem() {
    return problem;
  }
}
