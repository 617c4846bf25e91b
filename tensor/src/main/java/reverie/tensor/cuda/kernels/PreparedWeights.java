// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Pool;

/**
 * Weights in the layout and type that cuDNN and cuBLAS want, for captured graphs: they are prepared
 * once, outside the graphs, and again before a graph runs if the weights were written since. Graphs
 * with the same weights share them. So are other tensors that a graph reads and does not write.
 */
final class PreparedWeights {
  /**
   * Weights [perOutput, outputs] as [outputs, perOutput].
   *
   * @param address of the weights
   * @param half whether they are rounded to bfloat16
   */
  record Form(long address, int perOutput, int outputs, boolean half) {
    long end() {
      return address + 4L * perOutput * outputs;
    }

    /** Whether the layout stays. */
    boolean isRounded() {
      return half && perOutput == 1;
    }

    /** Bytes of the prepared weights. */
    long bytes() {
      return (half ? 2L : 4L) * perOutput * outputs;
    }
  }

  /** A weight as it is prepared. */
  static final class Piece {
    private final Form form;
    private final long to;
    private boolean stale = true;

    Piece(Form form, long to) {
      this.form = form;
      this.to = to;
    }

    Form form() {
      return form;
    }

    /** The address of the prepared weights. */
    long to() {
      return to;
    }

    /** Says that it was written from the weights as they are now. */
    void refreshed() {
      stale = false;
    }
  }

  /** Some that lie prepared one after another. */
  private static final class Prepared {
    private final Pool.Block block;
    private final List<Piece> pieces = new ArrayList<>();
    private int users;

    Prepared(List<Form> forms, Pool.Block block) {
      this.block = block;
      long to = block.address();
      for (Form form : forms) {
        pieces.add(new Piece(form, to));
        to += form.bytes();
      }
    }
  }

  private final Pool pool;
  private final Moves moves;
  private final Updates updates;
  private final Map<List<Form>, Prepared> all = new HashMap<>();
  private final TreeMap<Long, List<Piece>> byAddress = new TreeMap<>();
  private long longest;
  private int changes;
  private Use current;

  PreparedWeights(Pool pool, Moves moves, Updates updates) {
    this.pool = pool;
    this.moves = moves;
    this.updates = updates;
  }

  /** The prepared weights of one graph. */
  final class Use implements AutoCloseable {
    private final Ranges written;
    private final Map<List<Form>, Prepared> own = new LinkedHashMap<>();

    /** What was last prepared together, and the table of those that are only rounded. */
    private List<Piece> together = List.of();

    private Updates.Table table;

    /**
     * @param written by the graph itself: weights among them are prepared inside it
     */
    Use(Ranges written) {
      this.written = written;
    }

    /** Does work of the graph, which finds its weights prepared. */
    void in(Runnable work) {
      current = this;
      try {
        work.run();
      } finally {
        current = null;
      }
    }

    /** Prepares what was written since it was prepared. */
    void refresh() {
      List<Piece> stale =
          own.values().stream()
              .flatMap(one -> one.pieces.stream())
              .filter(piece -> piece.stale)
              .toList();
      if (!stale.isEmpty()) {
        if (!stale.equals(together)) {
          closeTable();
          List<Updates.Row> rows =
              stale.stream()
                  .filter(piece -> piece.form.isRounded())
                  .map(piece ->
                      new Updates.Row(piece.form.outputs, List.of(), piece.to, piece.form.address))
                  .toList();
          table = rows.isEmpty() ? null : updates.narrowing(rows);
          together = stale;
        }
        if (table != null) {
          table.run();
        }
        stale.forEach(PreparedWeights.this::transpose);
      }
    }

    private long find(List<Form> forms) {
      boolean changes = false;
      for (Form form : forms) {
        changes |= written.overlaps(form.address, form.end());
      }
      return changes
          ? 0
          : own.computeIfAbsent(forms, PreparedWeights.this::acquire).block.address();
    }

    @Override
    public void close() {
      own.forEach(PreparedWeights.this::release);
      own.clear();
      closeTable();
    }

    private void closeTable() {
      if (table != null) {
        table.close();
        table = null;
        together = List.of();
      }
    }
  }

  /** Prepares it if it is not only rounded. */
  private void transpose(Piece one) {
    Form form = one.form;
    if (!form.isRounded()) {
      moves.transpose(form.address, one.to, form.perOutput, form.outputs, form.half);
    }
    one.refreshed();
  }

  /** Where weights are prepared for the graph whose work is done now; 0 if they are not. */
  long find(Form form) {
    return current == null ? 0 : current.find(List.of(form));
  }

  /** The same for tensors in their own order, one after another. */
  long find(boolean half, Tensor... tensors) {
    List<Form> forms = new ArrayList<>();
    for (Tensor x : tensors) {
      forms.add(new Form(Pool.address(x), 1, Math.toIntExact(x.size()), half));
    }
    return current == null ? 0 : current.find(forms);
  }

  /** What is prepared of exactly this weight, for whoever writes it to write too. */
  List<Piece> of(Tensor weight) {
    return byAddress.getOrDefault(Pool.address(weight), List.of()).stream()
        .filter(piece -> (long) piece.form.perOutput * piece.form.outputs == weight.size())
        .toList();
  }

  /** Another number whenever {@link #of} may give something else. */
  int changes() {
    return changes;
  }

  private Prepared acquire(List<Form> forms) {
    Prepared one = all.get(forms);
    if (one == null) {
      one = new Prepared(forms, pool.allocate(forms.stream().mapToLong(Form::bytes).sum()));
      all.put(forms, one);
      for (Piece piece : one.pieces) {
        byAddress.computeIfAbsent(piece.form.address, _ -> new ArrayList<>()).add(piece);
        longest = Math.max(longest, piece.form.end() - piece.form.address);
      }
      changes++;
    }
    one.users++;
    return one;
  }

  private void release(List<Form> forms, Prepared one) {
    if (--one.users == 0) {
      all.remove(forms);
      for (Piece piece : one.pieces) {
        List<Piece> there = byAddress.get(piece.form.address);
        there.remove(piece);
        if (there.isEmpty()) {
          byAddress.remove(piece.form.address);
        }
      }
      pool.release(one.block);
      changes++;
    }
  }

  /** Records that memory from one address to before another has other values now. */
  void written(long from, long to) {
    for (List<Piece> there : byAddress.subMap(from - longest, to).values()) {
      for (Piece piece : there) {
        piece.stale |= piece.form.end() > from;
      }
    }
  }
}
