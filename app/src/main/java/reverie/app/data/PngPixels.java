// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.Raster;

/** Converts a decoded image to model input. */
final class PngPixels {
  private PngPixels() {}

  /**
   * Lays an image over white, as a browser shows it: colour and alpha are mixed as they are stored,
   * without gamma.
   *
   * @return {@code [height, width, 3]} in [−1, 1]
   */
  static float[] overWhite(BufferedImage image) {
    int height = image.getHeight();
    int width = image.getWidth();
    // getRGB would take grey levels for linear light and brighten them, so these are read as
    // stored.
    boolean grey = image.getColorModel().getColorSpace().getType() == ColorSpace.TYPE_GRAY;
    float[] pixels = new float[height * width * 3];
    for (int y = 0, at = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        if (grey) {
          float level = greyOverWhite(image, x, y);
          pixels[at++] = level;
          pixels[at++] = level;
          pixels[at++] = level;
        } else {
          int argb = image.getRGB(x, y);
          float alpha = (argb >>> 24) / 255f;
          pixels[at++] = overWhite((argb >> 16 & 255) / 255f, alpha);
          pixels[at++] = overWhite((argb >> 8 & 255) / 255f, alpha);
          pixels[at++] = overWhite((argb & 255) / 255f, alpha);
        }
      }
    }
    return pixels;
  }

  private static float greyOverWhite(BufferedImage image, int x, int y) {
    Raster raster = image.getRaster();
    ColorModel model = image.getColorModel();
    float level = raster.getSample(x, y, 0) / (float) ((1 << model.getComponentSize(0)) - 1);
    float alpha =
        model.hasAlpha()
            ? raster.getSample(x, y, 1) / (float) ((1 << model.getComponentSize(1)) - 1)
            : 1;
    return overWhite(level, alpha);
  }

  /** Rounds to the 256 levels a screen has, so that an image saved and read again is the same. */
  private static float overWhite(float level, float alpha) {
    int shown = Math.round(255 * (level * alpha + (1 - alpha)));
    return shown / 127.5f - 1;
  }
}
