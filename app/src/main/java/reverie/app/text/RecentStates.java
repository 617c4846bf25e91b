// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/** What some of the prompts that came last were encoded to. Safe for several threads. */
public final class RecentStates {
  /** 75 MB of MiniLM's states. */
  private static final int MOST = 4096;

  private final Function<String, float[]> encode;

  private final Map<String, float[]> recent =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, float[]> eldest) {
          return size() > MOST;
        }
      };

  /** Asks for what it does not remember. */
  public RecentStates(Function<String, float[]> encode) {
    this.encode = encode;
  }

  /** The states of a prompt, not to be written to. */
  public synchronized float[] of(String prompt) {
    float[] known = recent.get(prompt);
    if (known == null) {
      known = encode.apply(prompt);
      recent.put(prompt, known);
    }
    return known;
  }
}
