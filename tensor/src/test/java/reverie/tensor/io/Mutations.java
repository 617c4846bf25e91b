// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import reverie.tensor.Rng;

/** Damage to the bytes of a file, the same for the same number. */
public final class Mutations {
  /** Values that no reader expects. */
  private static final List<String> ODD =
      List.of(
          "null",
          "-1",
          "1e999",
          "[]",
          "{}",
          "\"\"",
          "NaN",
          "99999999999999999999",
          "\u0000",
          "\"",
          "\\",
          "true",
          "\\ud800",
          "{\"a\":",
          ",",
          ":",
          "../",
          "\n",
          "\uFEFF",
          "0.5",
          "[[[[[[[[");

  private static final String MARKS = "{}[]\":,0123456789-.eE\\\u0000\u001b\n truefalsn";

  private Mutations() {}

  /**
   * The n-th damaged copy: bits, marks of JSON, pieces doubled, cut out or replaced by odd values,
   * an early end.
   */
  public static byte[] of(byte[] sound, long n) {
    Rng rng = Rng.of(n).fork("mutation");
    byte[] bytes = sound.clone();
    int count = 1 + rng.below(0, 3);
    for (int i = 0; i < count; i++) {
      if (bytes.length == 0) {
        return bytes;
      }
      Rng one = rng.fork(i);
      int at = one.below(0, bytes.length);
      int length = one.below(1, Math.min(16, bytes.length - at)) + 1;
      switch (one.below(2, 7)) {
        case 0 -> bytes[at] ^= (byte) (1 << one.below(3, 8));
        case 1 -> bytes[at] = (byte) MARKS.charAt(one.below(3, MARKS.length()));
        case 2 -> bytes[at] = (byte) one.below(3, 256);
        case 3 -> bytes = joined(bytes, at + length, at);
        case 4 -> bytes = length < bytes.length ? joined(bytes, at, at + length) : bytes;
        case 5 -> {
          String odd = ODD.get(one.below(3, ODD.size()));
          bytes = replaced(bytes, at, at + length, odd.getBytes(StandardCharsets.UTF_8));
        }
        default -> bytes = at == 0 ? bytes : Arrays.copyOf(bytes, at);
      }
    }
    return bytes;
  }

  private static byte[] replaced(byte[] bytes, int first, int end, byte[] by) {
    byte[] out = Arrays.copyOf(bytes, bytes.length - (end - first) + by.length);
    System.arraycopy(by, 0, out, first, by.length);
    System.arraycopy(bytes, end, out, first + by.length, bytes.length - end);
    return out;
  }

  /** The bytes before {@code end} and those from {@code begin} on. */
  private static byte[] joined(byte[] bytes, int end, int begin) {
    byte[] out = Arrays.copyOf(bytes, end + bytes.length - begin);
    System.arraycopy(bytes, begin, out, end, bytes.length - begin);
    return out;
  }
}
