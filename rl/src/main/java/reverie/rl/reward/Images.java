// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import java.awt.image.BufferedImage;
import java.io.Serializable;
import java.util.Locale;
import reverie.tensor.ReverieException;

/**
 * Images as people and files see them: unsigned bytes, {@code [count, height, width, channels]} in
 * row-major order, three channels (red, green, blue) or one (grey). A reward gets its own copy to
 * read.
 *
 * @param pixels the bytes, {@code count * height * width * channels} of them
 */
public record Images(byte[] pixels, int count, int height, int width, int channels)
    implements Serializable {

  /** Checks that the bytes fill the shape. */
  public Images {
    if (channels != 1 && channels != 3) {
      throw new ReverieException("images: expected 1 or 3 channels, got " + channels);
    }
    long expected = (long) count * height * width * channels;
    if (pixels.length != expected) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "images: expected %d bytes for [%d, %d, %d, %d], got %d",
              expected,
              count,
              height,
              width,
              channels,
              pixels.length));
    }
  }

  /**
   * Rounds values in [0, 1] to bytes, {@code round(clamp(255 x, 0, 255))} with ties to even, as
   * ddpo-pytorch does.
   *
   * @param values {@code count * height * width * channels} values, channels last
   * @throws ReverieException if a value is NaN or infinite, with the image it is in
   */
  public static Images rounded(float[] values, int count, int height, int width, int channels) {
    byte[] pixels = new byte[values.length];
    int size = height * width * channels;
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "images: image %d of %d has the pixel value %s",
                i / size,
                count,
                values[i]),
            "the model diverged: lower the learning rate or clip the gradient");
      }
      pixels[i] = (byte) Math.rint(Math.clamp(values[i] * 255f, 0f, 255f));
    }
    return new Images(pixels, count, height, width, channels);
  }

  /** One value, 0 to 255. */
  public int value(int image, int y, int x, int channel) {
    return pixels[((image * height + y) * width + x) * channels + channel] & 0xff;
  }

  /** One image for the Java imaging API. */
  public BufferedImage image(int index) {
    boolean grey = channels == 1;
    BufferedImage image =
        new BufferedImage(
            width, height, grey ? BufferedImage.TYPE_BYTE_GRAY : BufferedImage.TYPE_INT_RGB);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        if (grey) {
          image.getRaster().setSample(x, y, 0, value(index, y, x, 0));
        } else {
          image.setRGB(
              x,
              y,
              value(index, y, x, 0) << 16 | value(index, y, x, 1) << 8 | value(index, y, x, 2));
        }
      }
    }
    return image;
  }
}
