// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

/**
 * The normal numbers that PyTorch's CPU generator gives for a seed, so that a published result of a
 * random chain can be reproduced: a 32-bit Mersenne Twister, 24 bits per uniform number, and
 * Box–Muller on blocks of 16 (u₀…u₇ for the radius, u₈…u₁₅ for the angle).
 */
final class TorchNormal {
  private static final int SIZE = 624;
  private final int[] state = new int[SIZE];
  private int position = SIZE;

  TorchNormal(int seed) {
    state[0] = seed;
    for (int i = 1; i < SIZE; i++) {
      state[i] = 1812433253 * (state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    }
  }

  /** As many as one call for a tensor of this size gives; a multiple of 16. */
  double[] next(int size) {
    double[] out = new double[size];
    for (int i = 0; i < size; i++) {
      out[i] = (word() & 0xffffff) * 0x1p-24;
    }
    for (int block = 0; block < size; block += 16) {
      for (int j = block; j < block + 8; j++) {
        double radius = Math.sqrt(-2 * Math.log(1 - out[j]));
        double angle = 2 * Math.PI * out[j + 8];
        out[j] = (float) (radius * Math.cos(angle));
        out[j + 8] = (float) (radius * Math.sin(angle));
      }
    }
    return out;
  }

  private int word() {
    if (position == SIZE) {
      for (int i = 0; i < SIZE; i++) {
        int y = (state[i] & 0x80000000) | (state[(i + 1) % SIZE] & 0x7fffffff);
        state[i] = state[(i + 397) % SIZE] ^ (y >>> 1) ^ ((y & 1) == 0 ? 0 : 0x9908b0df);
      }
      position = 0;
    }
    int y = state[position++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return y ^ (y >>> 18);
  }
}
