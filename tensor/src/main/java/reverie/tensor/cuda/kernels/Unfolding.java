// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;
import static reverie.tensor.cuda.kernels.Space.aligned;

import reverie.tensor.cuda.driver.Dnn;
import reverie.tensor.cuda.kernels.Convolutions.Task;
import reverie.tensor.cuda.kernels.Products.Rows;

/** Convolutions as products of unfolded images, for what cuDNN does not have. */
final class Unfolding {
  /** Bytes of unfolded images at once. */
  private static final long MAX_UNFOLDED = 1L << 28;

  private final Products products;
  private final Elements elements;
  private final Moves moves;
  private final Staging staging;

  Unfolding(Products products, Elements elements, Moves moves, Staging staging) {
    this.products = products;
    this.elements = elements;
    this.moves = moves;
    this.staging = staging;
  }

  /**
   * Images that are unfolded at once: such that what belongs to them begins at aligned addresses.
   */
  private static int unfoldedImages(Task task) {
    long each = 4 * new Moves.Unfolded(task.problem(), 0, 0, 1).columnElements();
    long most = Math.max(4, MAX_UNFOLDED / each / 4 * 4);
    return (int) Math.min(task.problem().n(), most);
  }

  /** Bytes of working memory for {@link #run}. */
  static long scratchBytes(Task task) {
    Moves.Unfolded some = new Moves.Unfolded(task.problem(), 0, 0, unfoldedImages(task));
    return Staging.scratchBytes(task.w(), task.y())
        + aligned(4 * some.columnElements())
        + (task.direction() == Dnn.Direction.WEIGHT_GRADIENT ? aligned(4 * task.w().size()) : 0);
  }

  /** Computes. */
  void run(Task task, Space scratch) {
    int atOnce = unfoldedImages(task);
    int out = task.problem().outputs();
    long image = 4L * task.problem().height() * task.problem().width() * task.problem().channels();
    long result = 4 * task.y().size() / task.problem().n();
    long y =
        task.result() == task.y()
            ? staging.write(task.y(), scratch)
            : staging.read(task.y(), scratch);
    long w =
        task.result() == task.w()
            ? staging.write(task.w(), scratch)
            : staging.read(task.w(), scratch);
    Moves.Unfolded all = new Moves.Unfolded(task.problem(), 0, 0, atOnce);
    long columns = scratch.take(4 * all.columnElements());
    for (int first = 0; first < task.problem().n(); first += atOnce) {
      int images = Math.min(atOnce, task.problem().n() - first);
      Moves.Unfolded some =
          new Moves.Unfolded(task.problem(), address(task.x()) + first * image, columns, images);
      int pixels = images * some.rows() * some.across();
      Rows unfolded = Rows.contiguous(columns, false, some.width());
      Rows factors = Rows.contiguous(w, false, out);
      Rows part = Rows.contiguous(y + first * result, false, out);
      switch (task.direction()) {
        case FORWARD -> {
          moves.unfold(some);
          products.multiply(unfolded, factors, part, pixels, out, some.width());
        }
        case INPUT_GRADIENT -> {
          products.multiply(part, factors.flipped(), unfolded, pixels, some.width(), out);
          moves.fold(some);
        }
        case WEIGHT_GRADIENT -> {
          moves.unfold(some);
          long to = first == 0 ? w : scratch.take(0);
          products.multiply(
              unfolded.flipped(), part, Rows.contiguous(to, false, out), some.width(), out, pixels);
          if (first > 0) {
            elements.accumulate(to, w, task.w().size());
          }
        }
      }
    }
    if (task.result() != task.x()) {
      staging.finish(task.result(), task.result() == task.y() ? y : w);
    }
  }
}
