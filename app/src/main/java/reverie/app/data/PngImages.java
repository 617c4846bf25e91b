// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageTypeSpecifier;
import javax.imageio.ImageWriter;
import javax.imageio.metadata.IIOMetadata;
import javax.imageio.metadata.IIOMetadataNode;
import javax.imageio.stream.ImageOutputStream;
import javax.imageio.stream.MemoryCacheImageOutputStream;
import reverie.app.files.AtomicFile;
import reverie.tensor.ReverieException;

/** From a model's numbers to images and PNG files. */
public final class PngImages {
  private PngImages() {}

  /**
   * Images as a model makes them.
   *
   * @param pixels {@code [n, height, width, 3]} in [−1, 1]; what lies outside is clamped
   * @param height rows of each
   * @param width columns of each
   * @return n images
   */
  public static List<BufferedImage> fromModel(float[] pixels, int height, int width) {
    int size = height * width * 3;
    if (pixels.length % size != 0) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "images: expected a multiple of %d×%d×3 values, but came %d",
              height,
              width,
              pixels.length),
          "give images as [n, height, width, 3]");
    }
    List<BufferedImage> images = new ArrayList<>();
    for (int start = 0; start < pixels.length; start += size) {
      BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
      for (int i = 0; i < height * width; i++) {
        int at = start + 3 * i;
        int rgb = level(pixels[at]) << 16 | level(pixels[at + 1]) << 8 | level(pixels[at + 2]);
        image.setRGB(i % width, i / width, rgb);
      }
      images.add(image);
    }
    return images;
  }

  /** The same of images of this size. */
  public static List<BufferedImage> fromModel(float[] pixels, ImageSize size) {
    return fromModel(pixels, size.height(), size.width());
  }

  private static int level(float value) {
    // As images are rounded for a reward: ties to even.
    return (int) Math.rint(Math.clamp((value + 1) / 2 * 255, 0f, 255f));
  }

  /**
   * Enlarges.
   *
   * @param image the image
   * @param scale pixels along each side of what was one
   * @return every pixel as a square
   */
  public static BufferedImage enlarge(BufferedImage image, int scale) {
    int width = image.getWidth() * scale;
    int height = image.getHeight() * scale;
    BufferedImage large = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = large.createGraphics();
    graphics.setRenderingHint(
        RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_NEAREST_NEIGHBOR);
    graphics.drawImage(image, 0, 0, width, height, null);
    graphics.dispose();
    return large;
  }

  /**
   * Encodes.
   *
   * @param image the image
   * @return a PNG file
   */
  public static byte[] png(BufferedImage image) {
    return png(image, Map.of());
  }

  /**
   * Encodes with texts that say where the image comes from.
   *
   * @param texts keyword to text, PNG's international text chunks
   */
  public static byte[] png(BufferedImage image, Map<String, String> texts) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ImageWriter writer = ImageIO.getImageWritersByFormatName("png").next();
    try (ImageOutputStream stream = new MemoryCacheImageOutputStream(out)) {
      IIOMetadata metadata =
          writer.getDefaultImageMetadata(
              new ImageTypeSpecifier(image), writer.getDefaultWriteParam());
      IIOMetadataNode chunks = new IIOMetadataNode("iTXt");
      texts.forEach((keyword, text) -> {
        IIOMetadataNode chunk = new IIOMetadataNode("iTXtEntry");
        chunk.setAttribute("keyword", keyword);
        chunk.setAttribute("compressionFlag", "FALSE");
        chunk.setAttribute("compressionMethod", "0");
        chunk.setAttribute("languageTag", "");
        chunk.setAttribute("translatedKeyword", "");
        chunk.setAttribute("text", text);
        chunks.appendChild(chunk);
      });
      if (!texts.isEmpty()) {
        IIOMetadataNode root = new IIOMetadataNode("javax_imageio_png_1.0");
        root.appendChild(chunks);
        metadata.mergeTree("javax_imageio_png_1.0", root);
      }
      writer.setOutput(stream);
      writer.write(new IIOImage(image, null, metadata));
    } catch (IOException e) {
      throw new AssertionError("memory refuses a write", e);
    } finally {
      writer.dispose();
    }
    return out.toByteArray();
  }

  /**
   * Writes a PNG file.
   *
   * @param file where
   * @param image the image
   */
  public static void write(Path file, BufferedImage image) {
    AtomicFile.write(file, png(image));
  }

  /**
   * Reads a PNG file.
   *
   * @param file the file
   * @return the image
   */
  public static BufferedImage read(Path file) {
    return ImageFile.read("read", file);
  }
}
