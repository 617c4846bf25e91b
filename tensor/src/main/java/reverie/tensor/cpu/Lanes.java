// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import static reverie.tensor.cpu.Memory.SPECIES;
import static reverie.tensor.cpu.Memory.WIDTH;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;

/**
 * Adds the lanes of a vector in one order. {@code reduceLanes(ADD)} leaves the order open, and Java's interpreter and
 * its compiler choose different ones: the same program would give other bits once it is compiled.
 */
final class Lanes {
  private static final VectorShuffle<Float> BY_1 = rotation(1);
  private static final VectorShuffle<Float> BY_2 = rotation(2);
  private static final VectorShuffle<Float> BY_4 = rotation(4);
  private static final VectorShuffle<Float> BY_8 = rotation(8);
  private static final VectorShuffle<Float> BY_16 = rotation(16);
  private static final VectorShuffle<Float> BY_32 = rotation(32);

  private Lanes() {}

  private static VectorShuffle<Float> rotation(int lanes) {
    return VectorShuffle.iota(SPECIES, lanes % WIDTH, 1, true);
  }

  /** The sum, by halves. */
  static float sum(FloatVector v) {
    FloatVector s = v;
    if (WIDTH >= 64) {
      s = s.add(s.rearrange(BY_32));
    }
    if (WIDTH >= 32) {
      s = s.add(s.rearrange(BY_16));
    }
    if (WIDTH >= 16) {
      s = s.add(s.rearrange(BY_8));
    }
    if (WIDTH >= 8) {
      s = s.add(s.rearrange(BY_4));
    }
    if (WIDTH >= 4) {
      s = s.add(s.rearrange(BY_2));
    }
    return s.add(s.rearrange(BY_1)).lane(0);
  }
}
