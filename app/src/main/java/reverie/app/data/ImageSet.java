// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.AbstractList;
import java.util.List;
import java.util.Locale;
import java.util.RandomAccess;
import java.util.function.Predicate;
import java.util.zip.CRC32;
import reverie.tensor.ReverieException;

/**
 * Images of one size with the prompts that describe them: what a model is trained on and what its
 * samples are compared with, wherever they come from ({@link DataSet}, {@link ImageFolder}).
 *
 * @param height rows of every image
 * @param width columns of every image
 * @param items the images, in an order that never changes for the same source; may be made as they
 *     are asked for
 */
public record ImageSet(int height, int width, List<Item> items) {
  /** Red, green and blue. */
  public static final int CHANNELS = 3;

  /**
   * One image.
   *
   * @param name unique in its set, as its source calls it
   * @param prompt the words that should draw it
   * @param pixels {@code [height, width, 3]} in [−1, 1], over white; shared, not to be written to
   */
  public record Item(String name, String prompt, float[] pixels) {}

  /**
   * Images that are there.
   *
   * @throws ReverieException naming the first that has not the size of the set
   */
  public static ImageSet of(int height, int width, List<Item> items) {
    for (Item item : items) {
      if (item.pixels.length != height * width * CHANNELS) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "image set: every image must have %d×%d pixels of 3 channels, but '%s' has %d values",
                height,
                width,
                item.name,
                item.pixels.length),
            "resize the images to one size before training on them");
      }
    }
    return new ImageSet(height, width, List.copyOf(items));
  }

  /**
   * Returns the number of images.
   *
   * @return how many there are
   */
  public int size() {
    return items.size();
  }

  /**
   * Returns the prompts in the order of the images.
   *
   * @return one prompt an image: a view
   */
  public List<String> prompts() {
    return new Prompts(items);
  }

  private static final class Prompts extends AbstractList<String> implements RandomAccess {
    private final List<Item> items;

    Prompts(List<Item> items) {
      this.items = items;
    }

    @Override
    public int size() {
      return items.size();
    }

    @Override
    public String get(int index) {
      return items.get(index).prompt();
    }
  }

  /** Tells these images and prompts from others: all of them are looked at. */
  public String identity() {
    CRC32 sum = new CRC32();
    for (Item item : items) {
      sum.update(item.prompt.getBytes(StandardCharsets.UTF_8));
      ByteBuffer bytes = ByteBuffer.allocate(Float.BYTES * item.pixels.length);
      bytes.asFloatBuffer().put(item.pixels);
      sum.update(bytes);
    }
    return String.format(Locale.ROOT, "%d with checksum %08x", items.size(), sum.getValue());
  }

  /**
   * Returns those images that pass, in the same order.
   *
   * @param accept says which to keep
   * @return a set sharing the pixels of this one
   */
  public ImageSet where(Predicate<Item> accept) {
    return of(height, width, items.stream().filter(accept).toList());
  }

  /**
   * Copies some images into one array.
   *
   * @param rows their places in this set, in any order, repeats allowed
   * @return {@code [rows.length, height, width, 3]}
   */
  public float[] batch(int... rows) {
    int each = height * width * CHANNELS;
    float[] batch = new float[rows.length * each];
    for (int i = 0; i < rows.length; i++) {
      System.arraycopy(items.get(rows[i]).pixels, 0, batch, i * each, each);
    }
    return batch;
  }
}
