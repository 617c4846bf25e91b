// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import reverie.tensor.ReverieException;

class ImagesTest {
  @Test
  void roundsTiesToEvenAndClamps() {
    float[] values = {
      0f, 1f, -0.2f, 1.7f, 0.5f, 127.4f / 255, 0.5f / 255, 1.5f / 255, 254.6f / 255
    };
    Images images = Images.rounded(values, 1, 3, 3, 1);
    int[] expected = {0, 255, 0, 255, 128, 127, 0, 2, 255};
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], images.value(0, i / 3, i % 3, 0), "value " + values[i]);
    }
  }

  @Test
  void aPixelThatIsNoNumberNamesItsImage() {
    float[] values = new float[2 * 4 * 3];
    values[15] = Float.NaN;
    var error = assertThrows(ReverieException.class, () -> Images.rounded(values, 2, 2, 2, 3));
    assertTrue(error.getMessage().contains("image 1 of 2"), error.getMessage());
  }

  @Test
  void coloursReachTheImagingApiInOrder() {
    Images images =
        new Images(new byte[] {1, 2, 3, (byte) 200, (byte) 210, (byte) 220}, 2, 1, 1, 3);
    assertEquals(0xff010203, images.image(0).getRGB(0, 0));
    assertEquals(0xffc8d2dc, images.image(1).getRGB(0, 0));
  }

  @Test
  void wrongSizesAreRefused() {
    assertThrows(ReverieException.class, () -> new Images(new byte[5], 1, 2, 2, 1));
    assertThrows(ReverieException.class, () -> new Images(new byte[8], 1, 2, 2, 2));
  }
}
