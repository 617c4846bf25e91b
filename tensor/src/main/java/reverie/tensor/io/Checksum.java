// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.zip.CRC32C;

/**
 * The CRC-32C of a whole safetensors file, which the file holds in its own metadata: eight digits,
 * zeros while the sum is taken.
 */
final class Checksum {
  /** The key in the metadata. */
  static final String KEY = "checksum";

  static final String BLANK = "00000000";

  private static final String BEFORE = "\"" + KEY + "\":\"";
  private static final long PIECE = 1L << 30;

  private Checksum() {}

  /** Writes the sum of what is in the file over the zeros in its header. */
  static void seal(FileChannel channel) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment file = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
      long place = place(file);
      ByteBuffer digits = ByteBuffer.wrap(of(file, place).getBytes(StandardCharsets.US_ASCII));
      while (digits.hasRemaining()) {
        channel.write(digits, place + digits.position());
      }
    }
  }

  /** Whether the file is as it was when it was sealed. */
  static boolean holds(MemorySegment file, String sum) {
    long place = place(file);
    return place >= 0 && of(file, place).equals(sum);
  }

  private static String of(MemorySegment file, long place) {
    CRC32C sum = new CRC32C();
    update(sum, file.asSlice(0, place));
    sum.update(BLANK.getBytes(StandardCharsets.US_ASCII));
    update(sum, file.asSlice(place + BLANK.length()));
    return HexFormat.of().toHexDigits((int) sum.getValue());
  }

  private static void update(CRC32C sum, MemorySegment bytes) {
    for (long from = 0; from < bytes.byteSize(); from += PIECE) {
      sum.update(bytes.asSlice(from, Math.min(PIECE, bytes.byteSize() - from)).asByteBuffer());
    }
  }

  /** Where the digits are; quotes inside of names and values are escaped, so only the key fits. */
  private static long place(MemorySegment file) {
    byte[] pattern = BEFORE.getBytes(StandardCharsets.US_ASCII);
    MemorySegment wanted = MemorySegment.ofArray(pattern);
    long end = Math.min(file.byteSize(), Long.BYTES + file.get(ValueLayout.JAVA_LONG_UNALIGNED, 0));
    for (long at = Long.BYTES; at + pattern.length + BLANK.length() <= end; at++) {
      if (file.get(ValueLayout.JAVA_BYTE, at) == '"'
          && MemorySegment.mismatch(file, at, at + pattern.length, wanted, 0, pattern.length) < 0) {
        return at + pattern.length;
      }
    }
    return -1;
  }
}
