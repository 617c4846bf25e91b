// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import reverie.tensor.cuda.driver.Pool;

/**
 * Weights of convolutions in the layout and type that cuDNN wants, for captured graphs: they are
 * prepared once, outside the graphs, and again before a graph runs if the weights were written
 * since. Graphs with the same weights share them.
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

    /** Bytes of the prepared weights. */
    long bytes() {
      return (half ? 2L : 4L) * perOutput * outputs;
    }
  }

  private static final class Prepared {
    private final Form form;
    private final Pool.Block block;
    private int users;
    private boolean stale = true;

    Prepared(Form form, Pool.Block block) {
      this.form = form;
      this.block = block;
    }
  }

  private final Pool pool;
  private final Moves moves;
  private final Map<Form, Prepared> all = new HashMap<>();
  private final TreeMap<Long, List<Prepared>> byAddress = new TreeMap<>();
  private long longest;
  private Use current;

  PreparedWeights(Pool pool, Moves moves) {
    this.pool = pool;
    this.moves = moves;
  }

  /** The prepared weights of one graph. */
  final class Use implements AutoCloseable {
    private final Ranges written;
    private final Map<Form, Prepared> own = new HashMap<>();

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
      for (Prepared one : own.values()) {
        if (one.stale) {
          Form form = one.form;
          moves.transpose(
              form.address, one.block.address(), form.perOutput, form.outputs, form.half);
          one.stale = false;
        }
      }
    }

    private long find(Form form) {
      return written.overlaps(form.address, form.end())
          ? 0
          : own.computeIfAbsent(form, PreparedWeights.this::acquire).block.address();
    }

    @Override
    public void close() {
      own.values().forEach(PreparedWeights.this::release);
      own.clear();
    }
  }

  /** Where weights are prepared for the graph whose work is done now; 0 if they are not. */
  long find(Form form) {
    return current == null ? 0 : current.find(form);
  }

  private Prepared acquire(Form form) {
    Prepared one = all.get(form);
    if (one == null) {
      one = new Prepared(form, pool.allocate(form.bytes()));
      all.put(form, one);
      byAddress.computeIfAbsent(form.address, _ -> new ArrayList<>()).add(one);
      longest = Math.max(longest, form.end() - form.address);
    }
    one.users++;
    return one;
  }

  private void release(Prepared one) {
    if (--one.users == 0) {
      all.remove(one.form);
      List<Prepared> there = byAddress.get(one.form.address);
      there.remove(one);
      if (there.isEmpty()) {
        byAddress.remove(one.form.address);
      }
      pool.release(one.block);
    }
  }

  /** Records that memory from one address to before another has other values now. */
  void written(long from, long to) {
    if (!all.isEmpty()) {
      for (List<Prepared> there : byAddress.subMap(from - longest, to).values()) {
        for (Prepared one : there) {
          one.stale |= one.form.end() > from;
        }
      }
    }
  }
}
