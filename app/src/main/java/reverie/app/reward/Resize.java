// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.util.Locale;

/**
 * Resizes images of bytes as Pillow does ({@code Image.resize}), to the bit: along rows, then along
 * columns, by a filter that widens when the image shrinks, with weights of 22 bits after the point
 * and bytes in between.
 */
enum Resize {
  /** Triangle. */
  BILINEAR(1) {
    @Override
    double weight(double x) {
      return Math.max(0, 1 - Math.abs(x));
    }
  },
  /** Keys' cubic with a = −1/2. */
  BICUBIC(2) {
    @Override
    double weight(double x) {
      double d = Math.abs(x);
      if (d < 1) {
        return ((A + 2) * d - (A + 3)) * d * d + 1;
      }
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * A : 0;
    }
  },
  /** Windowed sinc. */
  LANCZOS(3) {
    @Override
    double weight(double x) {
      return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
    }
  };

  private static final double A = -0.5;
  private static final int BITS = 22;

  private final double support;

  Resize(double support) {
    this.support = support;
  }

  abstract double weight(double x);

  private static double sinc(double x) {
    return x == 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
  }

  /** What one pixel of the result is made of: weights of the pixels from {@code first}. */
  private record Window(int first, int[] weights) {}

  /**
   * Resizes.
   *
   * @param pixels {@code [height, width, channels]}
   * @return {@code [toHeight, toWidth, channels]}
   */
  byte[] apply(byte[] pixels, int height, int width, int channels, int toHeight, int toWidth) {
    byte[] rows = pixels;
    if (toWidth != width) {
      rows = new byte[height * toWidth * channels];
      Window[] windows = windows(width, toWidth);
      for (int y = 0; y < height; y++) {
        for (int x = 0; x < toWidth; x++) {
          for (int c = 0; c < channels; c++) {
            rows[(y * toWidth + x) * channels + c] =
                sum(pixels, y * width * channels + c, channels, windows[x]);
          }
        }
      }
    }
    if (toHeight == height) {
      return rows;
    }
    byte[] out = new byte[toHeight * toWidth * channels];
    Window[] windows = windows(height, toHeight);
    int row = toWidth * channels;
    for (int y = 0; y < toHeight; y++) {
      for (int x = 0; x < row; x++) {
        out[y * row + x] = sum(rows, x, row, windows[y]);
      }
    }
    return out;
  }

  private static byte sum(byte[] pixels, int offset, int stride, Window window) {
    int sum = 1 << BITS - 1;
    for (int i = 0; i < window.weights.length; i++) {
      sum += (pixels[offset + (window.first + i) * stride] & 0xff) * window.weights[i];
    }
    return (byte) Math.clamp(sum >> BITS, 0, 255);
  }

  private Window[] windows(int size, int toSize) {
    double scale = (double) size / toSize;
    double widened = Math.max(1, scale);
    Window[] windows = new Window[toSize];
    for (int i = 0; i < toSize; i++) {
      double center = (i + 0.5) * scale;
      int first = Math.max(0, (int) (center - support * widened + 0.5));
      int end = Math.min(size, (int) (center + support * widened + 0.5));
      double[] weights = new double[end - first];
      double sum = 0;
      for (int k = 0; k < weights.length; k++) {
        weights[k] = weight((k + first - center + 0.5) / widened);
        sum += weights[k];
      }
      int[] fixed = new int[weights.length];
      for (int k = 0; k < fixed.length; k++) {
        double exact = weights[k] / sum * (1 << BITS);
        fixed[k] = (int) (exact < 0 ? exact - 0.5 : exact + 0.5);
      }
      windows[i] = new Window(first, fixed);
    }
    return windows;
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
