// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.app.data.ImageSize;
import reverie.app.text.LetterEncoder;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;

class ImageSamplerTest {
  @Test
  void aModelThatAnswersNoNumbersIsAnErrorAndNoImage() {
    ReversePolicy process = ReversePolicy.ddim(SchedulerConfig.defaults(), 2, 1);
    ImageSampler images =
        new ImageSampler(process, new LetterEncoder(), 1, 4, ImageSize.square(2), 3);
    try (Scope _ = Scope.open("test")) {
      ReverieException error =
          assertThrows(
              ReverieException.class,
              () ->
                  images.draw(
                      (x, _, _) -> x.mul(Double.NaN),
                      Device.cpu(),
                      List.of("cat", "dog"),
                      1,
                      _ -> {}));
      assertTrue(error.getMessage().contains("image 1 of 2 (prompt \"cat\")"), error::getMessage);
    }
  }

  /** Whatever else is drawn, an image is made by its prompt and how many came before of it. */
  @Test
  void anImageDependsOnItsPromptAndItsRepeats() {
    Rng[] rows = ImageSampler.rows(List.of("cat", "dog", "cat"), 3);
    Rng[] others = ImageSampler.rows(List.of("owl", "cat", "cat", "dog"), 3);
    assertEquals(rows[0].uniform(0), others[1].uniform(0));
    assertEquals(rows[2].uniform(0), others[2].uniform(0));
    assertEquals(rows[1].uniform(0), others[3].uniform(0));
    assertNotEquals(rows[0].uniform(0), rows[2].uniform(0));
  }

  @Test
  void aSizeThatIsAdvisedIsNeverNothing() {
    assertEquals(8, ImageSampler.nearest(3, 8));
    assertEquals(8, ImageSampler.nearest(11, 8));
    assertEquals(16, ImageSampler.nearest(12, 8));
  }

  /** Before any is drawn: the numbers of all images lie in the heap at once. */
  @Test
  void imagesForWhichThereIsNoRoomAreRefused() {
    ReversePolicy process = ReversePolicy.ddim(SchedulerConfig.defaults(), 2, 1);
    ImageSampler images =
        new ImageSampler(process, new LetterEncoder(), 1, 4, ImageSize.square(1000), 3);
    images.requireRoom(1);
    for (int count : new int[] {716, Integer.MAX_VALUE}) {
      ReverieException error =
          assertThrows(ReverieException.class, () -> images.requireRoom(count));
      assertTrue(
          error.getMessage().startsWith("images: " + count + " images of 1000 take "),
          error::getMessage);
      assertTrue(error.getMessage().contains("\nhint: draw fewer at once"), error::getMessage);
    }
  }
}
