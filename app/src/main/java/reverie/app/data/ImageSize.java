// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import reverie.tensor.ReverieException;

/**
 * How large an image is.
 *
 * @param width columns of pixels
 * @param height rows of pixels
 */
public record ImageSize(int width, int height) {
  /** As large as the model draws by itself. */
  public static final ImageSize OWN = square(0);

  /** The longest side. */
  public static final int MAX = 65_536;

  private static final Pattern TEXT = Pattern.compile("(\\d{1,9})(?:\\s*[xX×]\\s*(\\d{1,9}))?");

  /** Checks the ranges. */
  public ImageSize {
    if (width < 0 || height < 0 || width > MAX || height > MAX || (width == 0) != (height == 0)) {
      throw wrong(width + "x" + height);
    }
  }

  /** Of a square. */
  public static ImageSize square(int side) {
    return new ImageSize(side, side);
  }

  /**
   * From text: {@code 512} for a square, {@code 768x512} for width and height, 0 for {@link #OWN}.
   *
   * @throws ReverieException for anything else
   */
  public static ImageSize of(String text) {
    Matcher sides = TEXT.matcher(text.strip());
    if (!sides.matches()) {
      throw wrong(text);
    }
    int width = Integer.parseInt(sides.group(1));
    return new ImageSize(width, sides.group(2) == null ? width : Integer.parseInt(sides.group(2)));
  }

  private static ReverieException wrong(String got) {
    return new ReverieException(
        "image size: expected a side from 1 to "
            + MAX
            + ", or width and height, got '"
            + ReverieException.shown(got)
            + "'",
        "for example 512, or 768x512; 0 is the model's own");
  }

  /** Whether it is {@link #OWN}. */
  public boolean isOwn() {
    return width == 0;
  }

  /** The same, each side divided. */
  public ImageSize dividedBy(int factor) {
    return new ImageSize(width / factor, height / factor);
  }

  /** The same, each side multiplied. */
  public ImageSize times(int factor) {
    return new ImageSize(width * factor, height * factor);
  }

  /** Whether both sides are multiples. */
  public boolean isMultipleOf(int factor) {
    return width % factor == 0 && height % factor == 0;
  }

  /** As it is written: {@code 512} or {@code 768x512}. */
  @Override
  public String toString() {
    return width == height ? Integer.toString(width) : width + "x" + height;
  }
}
