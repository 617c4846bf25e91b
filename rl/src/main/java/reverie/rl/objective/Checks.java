// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.Locale;
import reverie.tensor.ReverieException;

/** What the settings of objectives have in common. */
final class Checks {
  private Checks() {}

  static void require(String objective, String name, double value, boolean fine, String expected) {
    if (!fine) {
      throw new ReverieException(
          String.format(
              Locale.ROOT, "%s: expected %s %s, got %s", objective, name, expected, value));
    }
  }

  static void positive(String objective, String name, double value) {
    require(objective, name, value, value > 0 && Double.isFinite(value), "above 0");
  }

  static void notNegative(String objective, String name, double value) {
    require(objective, name, value, value >= 0 && Double.isFinite(value), "of 0 or more");
  }

  static void draws(String objective, int draws) {
    require(objective, "draws", draws, draws >= 1, "of at least 1");
  }
}
