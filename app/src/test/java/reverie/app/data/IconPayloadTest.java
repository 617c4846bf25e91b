// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reverie.rl.reward.Images;
import reverie.rl.reward.JpegReward;

/** Holds the JPEG reward against figures that were once measured with Pillow on the same icons. */
class IconPayloadTest {
  @Test
  void realIconsCostAboutTwoHundredAndFortyBytes() {
    ImageSet icons = SilkIcons.all();
    Images images = images(icons.batch(IntStream.range(0, icons.size()).toArray()), icons.size());
    assertEquals(240, Arrays.stream(JpegReward.payloads(images)).average().orElseThrow(), 2);
  }

  @Test
  void aBlankIconIsAllHeader() {
    float[] white = new float[16 * 16 * 3];
    Arrays.fill(white, 1);
    assertEquals(631, JpegReward.sizes(images(white, 1))[0]);
  }

  private static Images images(float[] pixels, int count) {
    float[] unit = new float[pixels.length];
    for (int i = 0; i < pixels.length; i++) {
      unit[i] = (pixels[i] + 1) / 2;
    }
    return Images.rounded(unit, count, 16, 16, 3);
  }
}
