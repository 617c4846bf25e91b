// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.io.Serializable;
import java.util.Arrays;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import reverie.tensor.op.RandomNormal;

/**
 * A sequence of random numbers as a value: a seed and a stream, no state. The same numbers come out
 * whatever else is drawn, on every device, for any batch split and after any resume.
 *
 * <pre>{@code
 * Rng noise = Rng.of(seed).fork(promptIndex, sampleIndex, step);
 * Tensor z = noise.normal(device, 16, 16, 3);
 * }</pre>
 */
public record Rng(long seed, long stream) implements Serializable {
  private static final int LARGEST_PERMUTATION = 1 << 20;
  private static final int FEISTEL_ROUNDS = 6;

  /** The root sequence of a seed. */
  public static Rng of(long seed) {
    return new Rng(seed, 0);
  }

  /** An independent sequence addressed by labels. */
  public Rng fork(long... labels) {
    long s = stream;
    for (long label : labels) {
      s = mix(s * 0x9E3779B97F4A7C15L + mix(label + 0x632BE59BD9B4E019L) + 1);
    }
    return new Rng(seed, s);
  }

  /** An independent sequence addressed by a name. */
  public Rng fork(String name) {
    return fork(name.chars().asLongStream().toArray()).fork(name.length());
  }

  /** Standard normal numbers from the start of this sequence. */
  public Tensor normal(Device device, int... dims) {
    long size = Shape.of(dims).size();
    return normalRows(device, new Rng[] {this}, Math.toIntExact(size)).reshape(dims);
  }

  /**
   * Standard normal numbers {@code [rows.length, sampleDims…]}, row i from the start of {@code
   * rows[i]}.
   */
  public static Tensor normalRows(Device device, Rng[] rows, int... sampleDims) {
    Capturing.refuseRandom();
    int[] dims = IntStream.concat(IntStream.of(rows.length), IntStream.of(sampleDims)).toArray();
    long[] seeds = Arrays.stream(rows).mapToLong(Rng::seed).toArray();
    long[] streams = Arrays.stream(rows).mapToLong(Rng::stream).toArray();
    return Ops.create(device, new RandomNormal(seeds, streams, Shape.of(dims)));
  }

  /** A uniform number in [0, 1) at a position of this sequence. */
  public double uniform(long position) {
    int[] words = new int[4];
    Philox.block(seed, stream, position, words);
    return (((words[0] & 0xffffffffL) << 21) ^ (words[1] & 0xffffffffL) >>> 11) * 0x1p-53;
  }

  /** A uniform whole number from 0 to {@code bound − 1} at a position of this sequence. */
  public int below(long position, int bound) {
    if (bound < 1) {
      throw new ReverieException("rng: expected a bound of at least 1, got " + bound);
    }
    return (int) (uniform(position) * bound);
  }

  /**
   * A uniform order of 0 to {@code n − 1}: what comes at each place. Up to 1,048,576 numbers are
   * {@link #permutation}; more are ordered without memory, by a Feistel network over the next power
   * of four, walked until it stays below n (Black and Rogaway 2002).
   */
  public IntUnaryOperator order(int n) {
    if (n <= LARGEST_PERMUTATION) {
      int[] order = permutation(n);
      return place -> order[place];
    }
    int half = (Integer.SIZE - Integer.numberOfLeadingZeros(n - 1) + 1) / 2;
    return place -> {
      long at = place;
      do {
        at = feistel(at, half);
      } while (at >= n);
      return (int) at;
    };
  }

  private long feistel(long value, int half) {
    long mask = (1L << half) - 1;
    long left = value >>> half;
    long right = value & mask;
    int[] words = new int[4];
    for (long round = 0; round < FEISTEL_ROUNDS; round++) {
      Philox.block(seed, stream, round << Integer.SIZE | right, words);
      long mixed = (left ^ words[0]) & mask;
      left = right;
      right = mixed;
    }
    return left << half | right;
  }

  /** A uniform permutation of 0 to {@code n − 1}. */
  public int[] permutation(int n) {
    int[] order = IntStream.range(0, n).toArray();
    for (int i = n - 1; i > 0; i--) {
      int j = below(i, i + 1);
      int swapped = order[i];
      order[i] = order[j];
      order[j] = swapped;
    }
    return order;
  }

  private static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }
}
