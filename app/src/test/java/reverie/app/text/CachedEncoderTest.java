// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CachedEncoderTest {
  @TempDir Path folder;

  /** Says the length of the prompt, and how often it was asked. */
  private static final class Counting implements PromptEncoder {
    private final String identity;
    private int calls;

    Counting(String identity) {
      this.identity = identity;
    }

    @Override
    public String identity() {
      return identity;
    }

    @Override
    public int tokens() {
      return 2;
    }

    @Override
    public int dimensions() {
      return 1;
    }

    @Override
    public float[] encode(String prompt) {
      calls++;
      return new float[] {prompt.length(), identity.length()};
    }
  }

  private final Counting encoder = new Counting("one");

  @Test
  void asksOnceEvenAfterARestart() {
    CachedEncoder cached = new CachedEncoder(encoder, folder.resolve("cache"));
    float[] states = cached.encode("abc");
    states[0] = -1;
    assertArrayEquals(new float[] {3, 3}, cached.encode("abc"));
    assertArrayEquals(
        new float[] {3, 3}, new CachedEncoder(encoder, folder.resolve("cache")).encode("abc"));
    assertEquals(1, encoder.calls);
  }

  @Test
  void encodersDoNotShareStates() {
    new CachedEncoder(encoder, folder).encode("abc");
    Counting other = new Counting("other");
    assertArrayEquals(new float[] {3, 5}, new CachedEncoder(other, folder).encode("abc"));
  }

  @Test
  void damagedFilesAreComputedAgain() throws IOException {
    new CachedEncoder(encoder, folder).encode("abc");
    Path file = files().getFirst();
    byte[] good = Files.readAllBytes(file);
    byte[] flipped = good.clone();
    flipped[1] ^= 1;
    for (byte[] bad : List.of(flipped, new byte[0], new byte[3], new byte[1000])) {
      Files.write(file, bad);
      assertArrayEquals(new float[] {3, 3}, new CachedEncoder(encoder, folder).encode("abc"));
      assertArrayEquals(good, Files.readAllBytes(file));
    }
    assertEquals(5, encoder.calls);
    assertEquals(1, files().size());
  }

  @Test
  void worksWithoutAFolder() throws IOException {
    Path blocked = Files.createFile(folder.resolve("file"));
    CachedEncoder cached = new CachedEncoder(encoder, blocked);
    assertArrayEquals(new float[] {3, 3}, cached.encode("abc"));
    assertArrayEquals(new float[] {4, 3}, cached.encode("abcd"));
    assertEquals(2, encoder.calls);
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }
}
