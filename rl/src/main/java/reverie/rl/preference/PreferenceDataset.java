// SPDX-License-Identifier: Apache-2.0
package reverie.rl.preference;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.zip.CRC32;
import reverie.tensor.ReverieException;

/**
 * A numbered collection of preferences, so that images need not be in memory before they are asked
 * for.
 */
public interface PreferenceDataset {
  /** How many pairs there are, at least one. */
  int size();

  /** The pair with this number, from 0; all images have one size. */
  Preference get(int index);

  /** What tells this collection from others, so that a run does not go on with another one. */
  String identity();

  /** The given pairs. */
  static PreferenceDataset of(List<Preference> pairs) {
    if (pairs.isEmpty()) {
      throw new ReverieException("preferences: expected at least one pair, got none");
    }
    List<Preference> kept = List.copyOf(pairs);
    CRC32 sum = new CRC32();
    for (Preference pair : kept) {
      sum.update(pair.prompt().text().getBytes(StandardCharsets.UTF_8));
      for (float[] image : List.of(pair.chosen(), pair.rejected())) {
        ByteBuffer bytes = ByteBuffer.allocate(Float.BYTES * image.length);
        bytes.asFloatBuffer().put(image);
        sum.update(bytes);
      }
    }
    String identity =
        String.format(Locale.ROOT, "%d pairs with checksum %08x", kept.size(), sum.getValue());
    return new PreferenceDataset() {
      @Override
      public int size() {
        return kept.size();
      }

      @Override
      public Preference get(int index) {
        return kept.get(index);
      }

      @Override
      public String identity() {
        return identity;
      }
    };
  }
}
