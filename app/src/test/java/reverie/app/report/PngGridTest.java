// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.data.ImageSize;
import reverie.app.data.PngImages;
import reverie.tensor.ReverieException;

class PngGridTest {
  @TempDir Path folder;

  @Test
  void enlargesEveryPixelToASquare() {
    List<BufferedImage> images =
        PngImages.fromModel(new float[] {-1, -1, -1, 1, 1, 1, 3, -3, 0, 0, 0, 0.5f}, 1, 2);
    assertEquals(2, images.size());
    BufferedImage grid =
        PngGrid.of(images.stream().map(image -> new PngGrid.Cell("", image)).toList(), 1, 4)
            .toImage();
    assertEquals(12 + 8 + 12, grid.getWidth());
    assertEquals(12 + 4 + 12 + 4 + 12, grid.getHeight());
    assertEquals(0xff000000, grid.getRGB(12, 12));
    assertEquals(0xff000000, grid.getRGB(15, 15));
    assertEquals(0xffffffff, grid.getRGB(16, 12));
    assertEquals(0xffff0080, grid.getRGB(12, 28));
    assertEquals(0xff8080bf, grid.getRGB(16, 31));
  }

  @Test
  void writesPngFiles() {
    Path file = folder.resolve("grid.png");
    PngGrid grid =
        new PngGrid(
            List.of(
                new PngGrid.Row(
                    "base", List.of(new PngGrid.Cell("chart pie error", ReportFixture.icon(1))))),
            4);
    grid.write(file);
    assertEquals(grid.toImage().getWidth(), PngImages.read(file).getWidth());
  }

  @Test
  @Timeout(20)
  void aCaptionOfAnyLengthIsCutAndTheNoteStays() {
    String endless = "x".repeat(60_000);
    BufferedImage icon = ReportFixture.icon(1);
    BufferedImage longer =
        PngGrid.of(List.of(new PngGrid.Cell(endless, "231 bytes", icon)), 1, 4).toImage();
    BufferedImage words =
        PngGrid.of(List.of(new PngGrid.Cell("a b ".repeat(20_000), "231 bytes", icon)), 1, 4)
            .toImage();
    BufferedImage shorter = PngGrid.of(List.of(new PngGrid.Cell("x", icon)), 1, 4).toImage();
    assumeTrue(shorter.getHeight() > 12 + 64 + 12, "no fonts here");
    int line = shorter.getHeight() - 12 - 64 - 12;
    // One line of letters or two of words, and one for the note.
    assertEquals(12 + 64 + 2 * line + 12, longer.getHeight());
    assertEquals(12 + 64 + 3 * line + 12, words.getHeight());
    int ink = 0;
    for (int y = longer.getHeight() - 12 - line; y < longer.getHeight(); y++) {
      for (int x = 0; x < longer.getWidth(); x++) {
        ink += (longer.getRGB(x, y) & 0xff) < 0x80 ? 1 : 0;
      }
    }
    assertTrue(ink > 20, "the note is drawn on the last line");
  }

  /** A grid of images of 768 pixels, five times as large, would take more than the heap. */
  @Test
  void largeImagesAreNotEnlarged() {
    assertEquals(5, PngGrid.scale(new ImageSize(127, 16), 5));
    assertEquals(1, PngGrid.scale(new ImageSize(16, 128), 5));
    PngGrid.requireRoom(64, 8, 1, ImageSize.square(2032));
    PngGrid.requireRoom(1024, 32, 2, new ImageSize(250, 250));
    for (Runnable tooLarge :
        List.<Runnable>of(
            () -> PngGrid.requireRoom(65, 8, 1, ImageSize.square(2036)),
            () -> PngGrid.requireRoom(65, 8, 1, ImageSize.square(2032)),
            () -> PngGrid.requireRoom(10_000_000_000L, 16, 100, ImageSize.square(8192)))) {
      ReverieException error = assertThrows(ReverieException.class, tooLarge::run);
      assertTrue(error.getMessage().contains("expected 268435456 at most\nhint: draw fewer"));
    }
  }

  @Test
  void refusesPartsOfImages() {
    assertThrows(ReverieException.class, () -> PngImages.fromModel(new float[7], 1, 2));
  }
}
