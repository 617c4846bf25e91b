// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
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

  /** Some that lie prepared one after another. */
  private static final class Prepared {
    private final List<Form> forms;
    private final Pool.Block block;
    private int users;
    private boolean stale = true;

    Prepared(List<Form> forms, Pool.Block block) {
      this.forms = forms;
      this.block = block;
    }

    /** Adds those that are only rounded. */
    void addRows(List<Updates.Row> rows) {
      long to = block.address();
      for (Form form : forms) {
        if (form.isRounded()) {
          rows.add(new Updates.Row(form.outputs, to, form.address));
        }
        to += form.bytes();
      }
    }
  }

  private final Pool pool;
  private final Moves moves;
  private final Updates updates;
  private final Map<List<Form>, Prepared> all = new HashMap<>();
  private final TreeMap<Long, List<Prepared>> byAddress = new TreeMap<>();
  private long longest;
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
    private List<Prepared> together = List.of();

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
      List<Prepared> stale = own.values().stream().filter(one -> one.stale).toList();
      if (!stale.isEmpty()) {
        if (!stale.equals(together)) {
          closeTable();
          List<Updates.Row> rows = new ArrayList<>();
          stale.forEach(one -> one.addRows(rows));
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
      own.values().forEach(PreparedWeights.this::release);
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

  /** Prepares those of some that are not only rounded. */
  private void transpose(Prepared one) {
    long to = one.block.address();
    for (Form form : one.forms) {
      if (!form.isRounded()) {
        moves.transpose(form.address, to, form.perOutput, form.outputs, form.half);
      }
      to += form.bytes();
    }
    one.stale = false;
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

  private Prepared acquire(List<Form> forms) {
    Prepared one = all.get(forms);
    if (one == null) {
      one = new Prepared(forms, pool.allocate(forms.stream().mapToLong(Form::bytes).sum()));
      all.put(forms, one);
      for (Form form : new HashSet<>(forms)) {
        byAddress.computeIfAbsent(form.address, _ -> new ArrayList<>()).add(one);
        longest = Math.max(longest, form.end() - form.address);
      }
    }
    one.users++;
    return one;
  }

  private void release(Prepared one) {
    if (--one.users == 0) {
      all.remove(one.forms);
      for (Form form : new HashSet<>(one.forms)) {
        List<Prepared> there = byAddress.get(form.address);
        there.remove(one);
        if (there.isEmpty()) {
          byAddress.remove(form.address);
        }
      }
      pool.release(one.block);
    }
  }

  /** Records that memory from one address to before another has other values now. */
  void written(long from, long to) {
    if (!all.isEmpty()) {
      byAddress
          .subMap(from - longest, to)
          .forEach((address, there) -> {
            for (Prepared one : there) {
              one.stale |= one.forms.stream().anyMatch(f -> f.address == address && f.end() > from);
            }
          });
    }
  }
}
