// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import reverie.tensor.DType;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.cuda.driver.Pool;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Lerp;
import reverie.tensor.op.Op;
import reverie.tensor.op.ParameterUpdate;
import reverie.tensor.spi.Call;

/** Updates of one tensor, or of many by one launch: {@code updates.cu}. */
final class Updates {
  private static final int MAX_POINTERS = 8;
  private static final int TILE = 4096;
  private static final int LONGS = MAX_POINTERS + 3;

  private final Driver driver;
  private final Kernels kernels;
  private final Pool pool;

  Updates(Driver driver, Kernels kernels, Pool pool) {
    this.driver = driver;
    this.kernels = kernels;
    this.pool = pool;
  }

  /** An update: what is written, what is read element by element, what all elements share. */
  private record Update(String kernel, Tensor[] to, List<Tensor> from, Tensor control) {
    /** Null if an operation on these tensors is none. */
    static Update of(Op op, Tensor[] inputs, Tensor[] outputs) {
      if (op instanceof ParameterUpdate update) {
        return of(update, inputs, outputs);
      }
      boolean sum = op instanceof Binary(Binary.Kind kind) && kind == Binary.Kind.ADD;
      return sum && isPlain(inputs, outputs)
          ? new Update("add_all", outputs, List.of(inputs), null)
          : null;
    }

    static Update of(ParameterUpdate op, Tensor[] inputs, Tensor[] outputs) {
      return switch (op) {
        case AdamW _ ->
            new Update(
                "adam_w", outputs, List.of(inputs[0], inputs[1], inputs[2], inputs[3]), inputs[4]);
        case Lerp _ -> new Update("lerp", outputs, List.of(inputs[0], inputs[1]), inputs[2]);
      };
    }

    private static boolean isPlain(Tensor[] inputs, Tensor... outputs) {
      boolean plain = true;
      for (Tensor x : inputs) {
        plain &= x.isContiguous() && x.shape().equals(outputs[0].shape()) && x.dtype() == DType.F32;
      }
      return plain;
    }

    long size() {
      return to[0].size();
    }

    /** As the kernel wants it in its table. */
    long[] row(long firstTile) {
      long[] row = new long[LONGS];
      int next = 0;
      boolean aligned = true;
      for (Tensor y : to) {
        row[next++] = address(y);
      }
      for (Tensor x : from) {
        row[next++] = address(x);
      }
      for (int i = 0; i < next; i++) {
        aligned &= row[i] % 16 == 0;
      }
      row[MAX_POINTERS] = size();
      row[MAX_POINTERS + 1] = firstTile;
      row[MAX_POINTERS + 2] = aligned ? 1 : 0;
      return row;
    }
  }

  /** Updates one tensor. */
  void run(ParameterUpdate op, Tensor[] inputs, Tensor... outputs) {
    Update update = Update.of(op, inputs, outputs);
    launch(op, update, tiles(update), 0, 0, update.row(0), List.of(update));
  }

  private static long tiles(Update update) {
    return (update.size() + TILE - 1) / TILE;
  }

  private void launch(
      Op op, Update first, long tiles, long table, long owners, long[] row, List<Update> all) {
    Arguments arguments = new Arguments().pointer(table).pointer(owners);
    arguments.read(first.control).int64(tiles);
    double[] numbers =
        op instanceof AdamW adam
            ? new double[] {adam.beta1(), adam.beta2(), adam.epsilon(), adam.weightDecay()}
            : new double[4];
    for (double number : numbers) {
      arguments.float32(number);
    }
    for (long field : row) {
      arguments.int64(field);
    }
    for (Update update : all) {
      arguments.moves(
          4L * update.from.size() * update.size(), 4L * update.to.length * update.size());
    }
    kernels.launch(first.kernel, kernels.blocks(tiles * Driver.THREADS), arguments);
  }

  /** Many updates that are one launch. */
  final class Table implements AutoCloseable {
    private final Op op;
    private final List<Update> updates;
    private final Pool.Block memory;
    private final long owners;
    private final long tiles;

    private Table(Op op, List<Update> updates) {
      this.op = op;
      this.updates = updates;
      tiles = updates.stream().mapToLong(Updates::tiles).sum();
      owners = Space.aligned(8L * LONGS * updates.size());
      long bytes = owners + 4 * tiles;
      memory = pool.allocate(bytes);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment host = arena.allocate(bytes, 8);
        int tile = 0;
        for (int i = 0; i < updates.size(); i++) {
          long[] row = updates.get(i).row(tile);
          MemorySegment.copy(row, 0, host, ValueLayout.JAVA_LONG, 8L * LONGS * i, LONGS);
          for (long own = tiles(updates.get(i)); own > 0; own--) {
            host.set(ValueLayout.JAVA_INT, owners + 4L * tile++, i);
          }
        }
        driver.upload(host, memory.address());
      } catch (RuntimeException e) {
        pool.release(memory);
        throw e;
      }
    }

    void run() {
      long at = memory.address();
      launch(op, updates.getFirst(), tiles, at, at + owners, new long[LONGS], updates);
    }

    @Override
    public void close() {
      pool.release(memory);
    }
  }

  /** The table of calls that {@link #together} found. */
  Table table(List<Call> calls) {
    List<Update> updates = new ArrayList<>();
    for (Call call : calls) {
      updates.add(Update.of(call.op(), call.inputs(), call.outputs()));
    }
    return new Table(calls.getFirst().op(), updates);
  }

  /** How many calls from one on are updates of the same kind that do not touch each other. */
  static int together(List<Call> calls, int first) {
    Call one = calls.get(first);
    Update model = Update.of(one.op(), one.inputs(), one.outputs());
    if (model == null) {
      return 1;
    }
    Ranges written = new Ranges();
    Ranges read = new Ranges();
    int next = first;
    while (next < calls.size()) {
      Call call = calls.get(next);
      Update update =
          call.op().equals(one.op()) ? Update.of(call.op(), call.inputs(), call.outputs()) : null;
      if (update == null
          || !shares(model.control, update.control)
          || meets(update, written, read)) {
        break;
      }
      for (Tensor y : update.to) {
        written.add(y);
      }
      update.from.forEach(read::add);
      next++;
    }
    return Math.max(1, next - first);
  }

  private static boolean shares(Tensor a, Tensor b) {
    return a == b || a != null && b != null && address(a) == address(b);
  }

  private static boolean meets(Update update, Ranges written, Ranges read) {
    boolean meets = false;
    for (Tensor y : update.to) {
      meets |= overlaps(written, y) || overlaps(read, y);
    }
    for (Tensor x : update.from) {
      meets |= overlaps(written, x);
    }
    return meets || update.control != null && overlaps(written, update.control);
  }

  private static boolean overlaps(Ranges ranges, Tensor tensor) {
    long from = address(tensor);
    return ranges.overlaps(from, from + 4 * tensor.size());
  }
}
