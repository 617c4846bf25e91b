// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.tensor.ReverieException;

class PngGridTest {
  @TempDir Path folder;

  @Test
  void enlargesEveryPixelToASquare() {
    List<BufferedImage> images =
        Images.fromModel(new float[] {-1, -1, -1, 1, 1, 1, 3, -3, 0, 0, 0, 0.5f}, 1, 2);
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
    assertEquals(grid.toImage().getWidth(), Images.read(file).getWidth());
  }

  @Test
  void refusesPartsOfImages() {
    assertThrows(ReverieException.class, () -> Images.fromModel(new float[7], 1, 2));
  }
}
