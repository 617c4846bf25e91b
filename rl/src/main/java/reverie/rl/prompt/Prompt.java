// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prompt;

import java.io.Serializable;
import java.util.Map;
import java.util.TreeMap;

/**
 * What an image is asked for.
 *
 * @param text what the model reads
 * @param metadata what its source knows about it, for rewards (a template's slots, an image id …)
 */
public record Prompt(String text, Map<String, String> metadata) implements Serializable {
  /** Copies the metadata, in the order of its keys. */
  public Prompt {
    metadata = java.util.Collections.unmodifiableMap(new TreeMap<>(metadata));
  }

  /** A prompt about which nothing more is known. */
  public Prompt(String text) {
    this(text, Map.of());
  }

  @Override
  public String toString() {
    return text;
  }
}
