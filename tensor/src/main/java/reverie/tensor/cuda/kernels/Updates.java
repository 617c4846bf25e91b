// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import reverie.tensor.DType;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.cuda.driver.Pool;
import reverie.tensor.cuda.kernels.PreparedWeights.Piece;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Lerp;
import reverie.tensor.op.Op;
import reverie.tensor.op.ParameterUpdate;
import reverie.tensor.spi.Call;

/** Updates of one tensor, or of many by one launch: {@code updates.cu}. */
final class Updates {
  private static final int MAX_POINTERS = 7;
  private static final int MAX_PIECES = 3;
  private static final int TILE = 4096;

  /** Of a tile that is written in two layouts; its square is {@link #TILE}. */
  private static final int SIDE = 64;

  private static final int LONGS = MAX_POINTERS + 4 + 2 * MAX_PIECES;

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
      boolean plain = outputs.length == 1 && outputs[0].dtype() == DType.F32;
      for (Tensor x : inputs) {
        plain &= x.isContiguous() && x.shape().equals(outputs[0].shape()) && x.dtype() == DType.F32;
      }
      return plain;
    }

    long size() {
      return to[0].size();
    }

    Row row(List<Piece> pieces) {
      LongStream results = Stream.of(to).mapToLong(Pool::address);
      LongStream operands = from.stream().mapToLong(Pool::address);
      return new Row(size(), pieces, LongStream.concat(results, operands).toArray());
    }

    /** Adds what it moves. */
    Arguments add(Arguments arguments) {
      return arguments.moves(4L * from.size() * size(), 4L * to.length * size());
    }
  }

  /**
   * An entry of a table: so many elements behind each pointer.
   *
   * @param pieces prepared weights that are written too, of at most one layout but the weight's own
   */
  record Row(long size, List<Piece> pieces, long... pointers) {
    /** As the kernel wants it. */
    long[] packed(long firstTile) {
      long[] packed = Arrays.copyOf(pointers, LONGS);
      int next = MAX_POINTERS;
      packed[next++] = size;
      packed[next++] = firstTile;
      packed[next++] = isAligned() ? 1 : 0;
      packed[next++] = perOutput();
      for (int i = 0; i < pieces.size(); i++) {
        packed[next + i] = pieces.get(i).to();
        packed[next + MAX_PIECES + i] = kind(pieces.get(i).form());
      }
      return packed;
    }

    /** Bits as in the kernel. */
    private static int kind(PreparedWeights.Form form) {
      return (form.half() ? 1 : 0) + (form.perOutput() > 1 ? 2 : 0);
    }

    /** Rows of the weight as a matrix of which a piece is the transposed; 1 if there is none. */
    private int perOutput() {
      return pieces.stream().mapToInt(piece -> piece.form().perOutput()).max().orElse(1);
    }

    private boolean isAligned() {
      LongStream prepared = pieces.stream().mapToLong(Piece::to);
      boolean rows = perOutput() == 1 || size / perOutput() % 4 == 0;
      return rows
          && LongStream.concat(LongStream.of(pointers), prepared).allMatch(at -> at % 16 == 0);
    }

    long tiles() {
      long rows = perOutput();
      return rows == 1
          ? Math.ceilDiv(size, TILE)
          : Math.ceilDiv(rows, SIDE) * Math.ceilDiv(size / rows, SIDE);
    }
  }

  /** Updates one tensor. */
  void run(ParameterUpdate op, Tensor[] inputs, Tensor... outputs) {
    Update update = Update.of(op, inputs, outputs);
    Row row = update.row(List.of());
    launch(kind(op, update), row.tiles(), 0, 0, row.packed(0), update::add);
  }

  /** What all updates of a launch share. */
  private record Kind(String kernel, Tensor control, double... numbers) {}

  private static Kind kind(Op op, Update update) {
    return op instanceof AdamW adam
        ? new Kind(
            update.kernel,
            update.control,
            adam.beta1(),
            adam.beta2(),
            adam.epsilon(),
            adam.weightDecay())
        : new Kind(update.kernel, update.control, 0, 0, 0, 0);
  }

  /**
   * Launches a kernel.
   *
   * @param moves adds what is read and written
   */
  private void launch(
      Kind kind, long tiles, long table, long owners, long[] row, UnaryOperator<Arguments> moves) {
    Arguments arguments = new Arguments().pointer(table).pointer(owners);
    arguments.read(kind.control).int64(tiles);
    for (double number : kind.numbers) {
      arguments.float32(number);
    }
    for (long field : row) {
      arguments.int64(field);
    }
    kernels.launch(kind.kernel, kernels.blocks(tiles * Driver.THREADS), moves.apply(arguments));
  }

  /** Many updates that are one launch. */
  final class Table implements AutoCloseable {
    private final Kind kind;
    private final List<Piece> pieces;
    private final UnaryOperator<Arguments> moves;
    private final Pool.Block memory;
    private final long owners;
    private final long tiles;

    private Table(Kind kind, List<Row> rows, UnaryOperator<Arguments> moves) {
      this.kind = kind;
      this.moves = moves;
      pieces = rows.stream().flatMap(row -> row.pieces.stream()).toList();
      tiles = rows.stream().mapToLong(Row::tiles).sum();
      owners = Space.aligned(8L * LONGS * rows.size());
      long bytes = owners + 4 * tiles;
      memory = pool.allocate(bytes);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment host = arena.allocate(bytes, 8);
        int tile = 0;
        for (int i = 0; i < rows.size(); i++) {
          long[] row = rows.get(i).packed(tile);
          MemorySegment.copy(row, 0, host, ValueLayout.JAVA_LONG, 8L * LONGS * i, LONGS);
          for (long own = rows.get(i).tiles(); own > 0; own--) {
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
      launch(kind, tiles, at, at + owners, new long[LONGS], moves);
    }

    /** Prepared weights that are written too. */
    List<Piece> pieces() {
      return pieces;
    }

    @Override
    public void close() {
      pool.release(memory);
    }
  }

  /**
   * The table of calls that {@link #together} found.
   *
   * @param pieces prepared weights that each call writes too
   */
  Table table(List<Call> calls, List<List<Piece>> pieces) {
    List<Update> updates =
        calls.stream().map(call -> Update.of(call.op(), call.inputs(), call.outputs())).toList();
    List<Row> rows = new ArrayList<>();
    for (int i = 0; i < calls.size(); i++) {
      rows.add(updates.get(i).row(pieces.get(i)));
    }
    return new Table(
        kind(calls.getFirst().op(), updates.getFirst()),
        rows,
        arguments -> {
          updates.forEach(update -> update.add(arguments));
          rows.forEach(
              row -> row.pieces.forEach(piece -> arguments.moves(0, piece.form().bytes())));
          return arguments;
        });
  }

  /**
   * Those of prepared weights that AdamW's kernel can write: a few, of one layout but the weight's
   * own.
   */
  static List<Piece> writable(List<Piece> pieces) {
    List<Piece> some = new ArrayList<>();
    int perOutput = 1;
    for (Piece piece : pieces) {
      int own = piece.form().perOutput();
      if (some.size() < MAX_PIECES && (own == 1 || perOutput == 1 || own == perOutput)) {
        some.add(piece);
        perOutput = Math.max(perOutput, own);
      }
    }
    return some;
  }

  /** A table that rounds to bfloat16; the pointers of its rows are result and operand. */
  Table narrowing(List<Row> rows) {
    long all = rows.stream().mapToLong(Row::size).sum();
    return new Table(
        new Kind("narrow_all", null, 0, 0, 0, 0),
        rows,
        arguments -> arguments.moves(4 * all, 2 * all));
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
      meets |= written.overlaps(y) || read.overlaps(y);
    }
    for (Tensor x : update.from) {
      meets |= written.overlaps(x);
    }
    return meets || update.control != null && written.overlaps(update.control);
  }
}
