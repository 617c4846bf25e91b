// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/**
 * How well images compress (DDPO §5.1): the bytes of the JPEG file at quality 95 above those of a
 * blank image, negative for compressibility. On small images the header is most of the file and
 * would hide the change. The sizes equal those of Pillow and libjpeg byte for byte.
 */
public record JpegReward(String name, int sign) implements Reward {
  private static final float QUALITY = 0.95f;

  /** Smaller files are better: minus the {@linkplain #payloads bytes}. */
  public static JpegReward compressibility() {
    return new JpegReward("jpeg_compressibility", -1);
  }

  /** Larger files are better: the {@linkplain #payloads bytes}. */
  public static JpegReward incompressibility() {
    return new JpegReward("jpeg_incompressibility", 1);
  }

  @Override
  public double[] score(RewardBatch batch) {
    return Arrays.stream(payloads(batch.images())).mapToDouble(bytes -> sign * bytes).toArray();
  }

  /** The JPEG file size of each image in bytes. */
  public static int[] sizes(Images images) {
    int[] sizes = new int[images.count()];
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    try {
      ImageWriteParam parameters = writer.getDefaultWriteParam();
      parameters.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
      parameters.setCompressionQuality(QUALITY);
      for (int i = 0; i < sizes.length; i++) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (var stream = new MemoryCacheImageOutputStream(bytes)) {
          writer.setOutput(stream);
          writer.write(null, new IIOImage(images.image(i), null, null), parameters);
        }
        sizes[i] = bytes.size();
      }
    } catch (IOException impossible) {
      throw new UncheckedIOException("jpeg: writing to memory failed", impossible);
    } finally {
      writer.dispose();
    }
    return sizes;
  }

  /**
   * What an image itself costs: its JPEG size above that of a blank (white) image of the same
   * shape.
   */
  public static int[] payloads(Images images) {
    byte[] white = new byte[images.height() * images.width() * images.channels()];
    Arrays.fill(white, (byte) 255);
    int blank = sizes(new Images(white, 1, images.height(), images.width(), images.channels()))[0];
    return Arrays.stream(sizes(images)).map(bytes -> bytes - blank).toArray();
  }
}
