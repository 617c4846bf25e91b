// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.awt.Color;
import java.awt.Font;
import java.awt.FontMetrics;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import reverie.app.data.ImageSize;
import reverie.app.data.PngImages;
import reverie.app.run.PlainText;
import reverie.tensor.ReverieException;

/**
 * Many small images on one, each pixel a square, with its caption below.
 *
 * <p>Where the Java runtime has no fonts (small containers), the captions are left out rather than
 * the grid lost.
 */
public final class PngGrid {
  private static final int GAP = 12;
  private static final int CAPTION_LINES = 2;

  /** Sides of images whose pixels need no enlarging to be seen. */
  private static final int LARGE = 128;

  /** A gigabyte while it is drawn. */
  private static final int MAX_PIXELS = 1 << 28;

  private static final Color INK = new Color(0x333333);
  private static final Color FRAME = new Color(0xdddddd);

  /**
   * One image.
   *
   * @param caption what stands below it, cut where it is too long; may be empty
   * @param note a few words on a line of their own below the caption; may be empty
   * @param image the image; all of a grid have one size
   */
  public record Cell(String caption, String note, BufferedImage image) {
    /** Without a note. */
    public Cell(String caption, BufferedImage image) {
      this(caption, "", image);
    }
  }

  /**
   * One row.
   *
   * @param label what stands at its left; may be empty
   * @param cells from left to right
   */
  public record Row(String label, List<Cell> cells) {}

  private final List<Row> rows;
  private final int scale;

  /**
   * A grid with given rows.
   *
   * @param rows from top to bottom; at least one cell
   * @param scale pixels of the grid for a pixel of an image
   */
  public PngGrid(List<Row> rows, int scale) {
    this.rows = List.copyOf(rows);
    this.scale = scale;
  }

  /** Pixels of the grid for a pixel of an image of this size: a few for a small one, else 1. */
  public static int scale(ImageSize size, int ofSmall) {
    return Math.max(size.width(), size.height()) < LARGE ? ofSmall : 1;
  }

  /**
   * Fails for a grid that would be too large, before its images are drawn.
   *
   * @param cells number of images
   * @param columns images in a row
   * @param scale pixels of the grid for a pixel of an image
   * @param size of an image
   */
  public static void requireRoom(long cells, int columns, int scale, ImageSize size) {
    double width = columns * ((double) size.width() * scale + GAP);
    double height = Math.ceil((double) cells / columns) * ((double) size.height() * scale + GAP);
    if (width * height > MAX_PIXELS) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "images: a grid of %d images of %s has %.0f×%.0f pixels, expected %d at most",
              cells,
              size,
              width,
              height,
              MAX_PIXELS),
          "draw fewer images at once, or choose a smaller --scale");
    }
  }

  /**
   * A grid filled row by row.
   *
   * @param cells the images, at least one
   * @param columns images in a row
   * @param scale pixels of the grid for a pixel of an image
   * @return the grid
   */
  public static PngGrid of(List<Cell> cells, int columns, int scale) {
    List<Row> rows = new ArrayList<>();
    for (int from = 0; from < cells.size(); from += columns) {
      rows.add(new Row("", cells.subList(from, Math.min(from + columns, cells.size()))));
    }
    return new PngGrid(rows, scale);
  }

  /**
   * Draws the grid and writes it.
   *
   * @param file a PNG file
   */
  public void write(Path file) {
    PngImages.write(file, toImage());
  }

  /**
   * Draws the grid.
   *
   * @return the grid
   */
  public BufferedImage toImage() {
    Font font = font();
    BufferedImage first = rows.getFirst().cells().getFirst().image();
    int cellWidth = first.getWidth() * scale;
    int cellHeight = first.getHeight() * scale;
    FontMetrics metrics = font == null ? null : metrics(font);
    int lineHeight = metrics == null ? 0 : metrics.getHeight();
    int labelWidth =
        metrics == null
            ? 0
            : rows.stream().mapToInt(row -> metrics.stringWidth(row.label())).max().orElse(0);
    int left = labelWidth == 0 ? GAP : labelWidth + 2 * GAP;
    int columns = rows.stream().mapToInt(row -> row.cells().size()).max().orElse(0);
    int height = GAP;
    for (Row row : rows) {
      height += cellHeight + lineHeight * captionLines(row, metrics, cellWidth) + GAP;
    }

    BufferedImage grid =
        new BufferedImage(left + columns * (cellWidth + GAP), height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = grid.createGraphics();
    graphics.setColor(Color.WHITE);
    graphics.fillRect(0, 0, grid.getWidth(), grid.getHeight());
    graphics.setRenderingHint(
        RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
    if (font != null) {
      graphics.setFont(font);
    }
    int y = GAP;
    for (Row row : rows) {
      if (metrics != null) {
        graphics.setColor(INK);
        graphics.drawString(row.label(), GAP, y + cellHeight / 2 + metrics.getAscent() / 2);
      }
      for (int i = 0; i < row.cells().size(); i++) {
        int x = left + i * (cellWidth + GAP);
        Cell cell = row.cells().get(i);
        graphics.setColor(FRAME);
        graphics.drawRect(x - 1, y - 1, cellWidth + 1, cellHeight + 1);
        graphics.drawImage(PngImages.enlarge(cell.image(), scale), x, y, null);
        if (metrics != null) {
          graphics.setColor(INK);
          int baseline = y + cellHeight + metrics.getAscent() + 2;
          for (String line : lines(cell, metrics, cellWidth)) {
            graphics.drawString(line, x + (cellWidth - metrics.stringWidth(line)) / 2, baseline);
            baseline += lineHeight;
          }
        }
      }
      y += cellHeight + lineHeight * captionLines(row, metrics, cellWidth) + GAP;
    }
    graphics.dispose();
    return grid;
  }

  private static int captionLines(Row row, FontMetrics metrics, int width) {
    return metrics == null
        ? 0
        : row.cells().stream().mapToInt(cell -> lines(cell, metrics, width).size()).max().orElse(0);
  }

  private static List<String> lines(Cell cell, FontMetrics metrics, int width) {
    List<String> lines = wrap(PlainText.of(cell.caption()), metrics, width);
    if (!cell.note().isBlank()) {
      lines.add(cut(cell.note(), metrics, width));
    }
    return lines;
  }

  /** Breaks between words; what does not fit is cut with an ellipsis. */
  private static List<String> wrap(String text, FontMetrics metrics, int width) {
    List<String> lines = new ArrayList<>();
    String line = "";
    // A letter takes a point or more, so that more words than this cannot be seen.
    String seen = text.strip();
    seen = seen.substring(0, Math.min(seen.length(), CAPTION_LINES * width));
    for (String word : seen.isEmpty() ? new String[0] : seen.split("\\s+")) {
      String longer = line.isEmpty() ? word : line + " " + word;
      boolean last = lines.size() == CAPTION_LINES - 1;
      if (line.isEmpty() || last || metrics.stringWidth(longer) <= width) {
        line = longer;
      } else {
        lines.add(line);
        line = word;
      }
    }
    if (!line.isEmpty()) {
      lines.add(line);
    }
    lines.replaceAll(full -> cut(full, metrics, width));
    return lines;
  }

  private static String cut(String line, FontMetrics metrics, int width) {
    if (metrics.stringWidth(line) <= width) {
      return line;
    }
    int fits = 1;
    int tooLong = line.length();
    while (tooLong - fits > 1) {
      int middle = (fits + tooLong) / 2;
      if (metrics.stringWidth(line.substring(0, middle) + "…") <= width) {
        fits = middle;
      } else {
        tooLong = middle;
      }
    }
    return line.substring(0, fits) + "…";
  }

  private static FontMetrics metrics(Font font) {
    Graphics2D graphics = new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB).createGraphics();
    try {
      return graphics.getFontMetrics(font);
    } finally {
      graphics.dispose();
    }
  }

  /**
   * Null where the system has no fonts: Java then fails in the depths of its font manager, also
   * with errors.
   */
  private static Font font() {
    try {
      Font font = new Font(Font.SANS_SERIF, Font.PLAIN, 12);
      metrics(font).stringWidth("x");
      return font;
    } catch (RuntimeException | LinkageError | InternalError e) {
      return null;
    }
  }
}
