// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import reverie.tensor.ReverieException;

/** Something the user asked for on the command line or in a configuration file that cannot be. */
public final class ConfigurationException extends ReverieException {
  private static final long serialVersionUID = 1L;

  /**
   * An error in a setting.
   *
   * @param message where, what was expected, what came
   * @param hint what to do
   */
  public ConfigurationException(String message, String hint) {
    super(message, hint);
  }
}
