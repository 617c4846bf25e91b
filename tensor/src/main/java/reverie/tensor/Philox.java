// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

/**
 * Philox4x32-10 (Salmon et al. 2011), the counter-based generator behind every random number: 128
 * bits of counter and 64 of key give four 32-bit words, the same on every device. The key is the
 * seed; the counter is the block's position in the sequence (low 64 bits) and the stream (high 64
 * bits).
 *
 * <p>Normal number i of a sequence comes from block i/4: with words w, {@code u = (w >>> 9) · 2⁻²³
 * + 2⁻²⁴}, pair j of the block is {@code √(−2 ln u(w₂ⱼ)) · (cos, sin)(2π·u(w₂ⱼ₊₁))} (Box–Muller).
 */
public final class Philox {
  private static final long M0 = 0xD2511F53L;
  private static final long M1 = 0xCD9E8D57L;
  private static final int W0 = 0x9E3779B9;
  private static final int W1 = 0xBB67AE85;

  private Philox() {}

  /**
   * Fills {@code words[0..3]} with the block at a position of the sequence of a seed and stream.
   */
  public static void block(long seed, long stream, long position, int[] words) {
    int c0 = (int) position;
    int c1 = (int) (position >>> 32);
    int c2 = (int) stream;
    int c3 = (int) (stream >>> 32);
    int k0 = (int) seed;
    int k1 = (int) (seed >>> 32);
    for (int round = 0; round < 10; round++) {
      long p0 = M0 * (c0 & 0xffffffffL);
      long p1 = M1 * (c2 & 0xffffffffL);
      int n0 = (int) (p1 >>> 32) ^ c1 ^ k0;
      int n2 = (int) (p0 >>> 32) ^ c3 ^ k1;
      c0 = n0;
      c1 = (int) p1;
      c2 = n2;
      c3 = (int) p0;
      k0 += W0;
      k1 += W1;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
  }

  /** A word as a uniform number strictly between 0 and 1, exact in binary32. */
  public static double uniform(int word) {
    return (word >>> 9) * 0x1p-23 + 0x1p-24;
  }
}
