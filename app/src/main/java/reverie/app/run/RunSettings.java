// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import java.nio.file.Path;
import java.util.List;
import reverie.tensor.ReverieException;

/** The settings of a run, as its folder keeps them and as they are compared on resuming. */
public interface RunSettings {
  /**
   * The settings as they are kept.
   *
   * @return YAML that reads back as the same settings
   */
  String yaml();

  /**
   * Compares with the settings that a run was started with.
   *
   * @param stored YAML from its folder
   * @return one line per setting that differs, {@code key: before → now}
   */
  List<String> differencesFrom(String stored);

  /**
   * Refuses settings with which a run cannot go on.
   *
   * @param run its folder, for the message
   * @param stored YAML from its folder
   * @throws ReverieException listing the settings that differ
   */
  void requireResumable(Path run, String stored);
}
