// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvFileSource;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.rl.prompt.Prompt;

/**
 * File sizes measured with Pillow 12.3 at quality 95; the generators were checked by the CRC of
 * their pixels.
 */
class JpegRewardTest {
  @ParameterizedTest
  @CsvSource({"8,629,673", "28,641,872", "32,641,855", "64,689,1333", "512,4721,20406"})
  void sizesEqualPillow(int n, int flat, int gradient) {
    assertEquals(flat, JpegReward.sizes(flat(n, 128))[0]);
    assertEquals(gradient, JpegReward.sizes(gradient(n))[0]);
  }

  @Test
  void imagesAreThoseThatWereMeasured() {
    assertEquals(0xdf269b74L, crc(flat(64, 128)));
    assertEquals(0xb87bd786L, crc(gradient(64)));
  }

  /** What jpeg_sizes.py beside its output measured, up to the size of Stable Diffusion's images. */
  @ParameterizedTest
  @CsvFileSource(resources = "jpeg_sizes.txt", delimiter = ' ')
  void sizesEqualPillowForEveryKindOfImage(int side, String kind, String checksum, int bytes) {
    Images image = image(kind, side);
    assertEquals(Long.parseLong(checksum, 16), crc(image));
    assertEquals(bytes, JpegReward.sizes(image)[0]);
  }

  private static Images image(String kind, int side) {
    byte[] pixels = new byte[side * side * 3];
    long state = 1;
    for (int i = 0; i < pixels.length; i++) {
      int c = i % 3;
      int x = i / 3 % side;
      int y = i / 3 / side;
      state = (state * 1103515245 + 12345) & 0x7fffffff;
      pixels[i] =
          (byte)
              switch (kind) {
                case "flat" -> 40 + 60 * c;
                case "gradient" -> (c == 0 ? x : c == 1 ? y : x + y) * 127 / side;
                case "texture" -> (x * y + 31 * c) ^ (x * (c + 1) + y);
                default -> (int) (state >> 16);
              };
    }
    return new Images(pixels, 1, side, side, 3);
  }

  @Test
  void rewardsAreBytesAboveThoseOfABlankImage() {
    Images images = gradient(64);
    int white = JpegReward.sizes(flat(64, 255))[0];
    var batch =
        new RewardBatch(
            images, new float[images.pixels().length], Collections.nCopies(1, new Prompt("ramp")));
    assertArrayEquals(new double[] {white - 1333}, JpegReward.compressibility().score(batch));
    assertArrayEquals(new double[] {1333 - white}, JpegReward.incompressibility().score(batch));
    assertEquals("jpeg_compressibility", JpegReward.compressibility().name());
  }

  @Test
  void payloadIsWhatTheBlankImageDoesNotCost() {
    int white = JpegReward.sizes(flat(64, 255))[0];
    assertArrayEquals(new int[] {0}, JpegReward.payloads(flat(64, 255)));
    assertArrayEquals(new int[] {1333 - white}, JpegReward.payloads(gradient(64)));
    assertEquals(631, JpegReward.sizes(flat(16, 255))[0]);
    // Of a grey strip of three blocks black costs two bits more than white, which is a byte here.
    byte[] strip = new byte[2 * 24 * 8];
    java.util.Arrays.fill(strip, 0, 24 * 8, (byte) 255);
    assertArrayEquals(new int[] {0, 1}, JpegReward.payloads(new Images(strip, 2, 8, 24, 1)));
  }

  @Test
  void greyImagesAreWrittenGrey() {
    byte[] pixels = new byte[32 * 32];
    Images grey = new Images(pixels, 1, 32, 32, 1);
    Images colour = new Images(new byte[32 * 32 * 3], 1, 32, 32, 3);
    assertTrue(JpegReward.sizes(grey)[0] < JpegReward.sizes(colour)[0]);
  }

  private static Images flat(int n, int value) {
    byte[] pixels = new byte[n * n * 3];
    java.util.Arrays.fill(pixels, (byte) value);
    return new Images(pixels, 1, n, n, 3);
  }

  private static Images gradient(int n) {
    byte[] pixels = new byte[n * n * 3];
    for (int y = 0; y < n; y++) {
      for (int x = 0; x < n; x++) {
        int at = (y * n + x) * 3;
        pixels[at] = (byte) (x * 255 / (n - 1));
        pixels[at + 1] = (byte) (y * 255 / (n - 1));
        pixels[at + 2] = (byte) ((x + y) * 255 / (2 * (n - 1)));
      }
    }
    return new Images(pixels, 1, n, n, 3);
  }

  private static long crc(Images images) {
    CRC32 crc = new CRC32();
    crc.update(images.pixels());
    return crc.getValue();
  }
}
