// SPDX-License-Identifier: Apache-2.0
package reverie.app.config;

import java.util.Collection;
import java.util.Comparator;
import java.util.Locale;
import java.util.Optional;

/** Finds what somebody most likely meant by a name that does not exist. */
public final class Nearest {
  private Nearest() {}

  /**
   * The known name with the fewest letters inserted, deleted, replaced or swapped with their
   * neighbour.
   *
   * @param name what was written
   * @param known what could have been meant
   * @return the nearest, unless even that is too far away to be meant
   */
  public static Optional<String> to(String name, Collection<String> known) {
    String wanted = fold(name);
    return known.stream()
        .min(Comparator.comparingInt(candidate -> distance(wanted, fold(candidate))))
        .filter(best -> distance(wanted, fold(best)) <= Math.max(2, wanted.length() / 2));
  }

  /**
   * {@code learningRate}, {@code learning-rate} and {@code learning_rate} are one name to a human.
   */
  private static String fold(String name) {
    return name.replaceAll("[_.\\s-]", "").toLowerCase(Locale.ROOT);
  }

  /** The optimal string alignment distance. */
  static int distance(String a, String b) {
    int[][] d = new int[a.length() + 1][b.length() + 1];
    for (int i = 0; i <= a.length(); i++) {
      for (int j = 0; j <= b.length(); j++) {
        if (i == 0 || j == 0) {
          d[i][j] = i + j;
          continue;
        }
        int replaced = d[i - 1][j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        d[i][j] = Math.min(replaced, 1 + Math.min(d[i - 1][j], d[i][j - 1]));
        boolean swapped =
            i > 1
                && j > 1
                && a.charAt(i - 1) == b.charAt(j - 2)
                && a.charAt(i - 2) == b.charAt(j - 1);
        if (swapped) {
          d[i][j] = Math.min(d[i][j], 1 + d[i - 2][j - 2]);
        }
      }
    }
    return d[a.length()][b.length()];
  }
}
