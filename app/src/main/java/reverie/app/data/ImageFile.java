// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.awt.Dimension;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.Locale;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;
import reverie.tensor.ReverieException;

/**
 * Decodes images that may be damaged or hostile: a file of a few kilobytes can claim pixels for
 * gigabytes, so they are counted before anything is decoded.
 */
public final class ImageFile {
  private static final long MAX_PIXELS = 1L << 26;
  private static final String HINT = "use PNG or JPEG files of at most 8192×8192 pixels";

  private ImageFile() {}

  /**
   * Decodes an image.
   *
   * @param reader who reads, for errors
   * @param file PNG, JPEG or another format that Java knows
   * @return the image
   * @throws ReverieException if there is none, or it is damaged or too large
   */
  public static BufferedImage read(String reader, Path file) {
    return with(reader, file, images -> images.read(0));
  }

  /**
   * The size of an image, which is not decoded.
   *
   * @param reader who reads, for errors
   * @param file the file
   * @return width and height
   * @throws ReverieException if there is none, or it is damaged or too large
   */
  public static Dimension size(String reader, Path file) {
    return with(reader, file, images -> new Dimension(images.getWidth(0), images.getHeight(0)));
  }

  private interface Decoding<T> {
    T of(ImageReader images) throws IOException;
  }

  private static <T> T with(String reader, Path file, Decoding<T> decoding) {
    if (!Files.isRegularFile(file)) {
      throw wrong(reader, file, Files.exists(file) ? "is no file" : "does not exist");
    }
    try (ImageInputStream in = new MemoryCacheImageInputStream(Files.newInputStream(file))) {
      Iterator<ImageReader> readers = ImageIO.getImageReaders(in);
      if (!readers.hasNext()) {
        throw wrong(reader, file, "is not an image that Java can read");
      }
      ImageReader images = readers.next();
      try {
        images.setInput(in);
        long pixels = (long) images.getWidth(0) * images.getHeight(0);
        if (pixels > MAX_PIXELS) {
          throw wrong(
              reader,
              file,
              String.format(
                  Locale.ROOT,
                  "has %d×%d pixels, which is too many",
                  images.getWidth(0),
                  images.getHeight(0)));
        }
        return decoding.of(images);
      } finally {
        images.dispose();
      }
    } catch (ReverieException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      // Java's decoders answer some damage with whatever their arithmetic runs into.
      throw wrong(reader, file, "is damaged: " + e.getMessage());
    }
  }

  private static ReverieException wrong(String reader, Path file, String problem) {
    return new ReverieException(reader + ": '" + file + "' " + problem, HINT);
  }
}
