// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;
import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.set;

import java.lang.invoke.MethodHandle;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.simd.Fusions;
import reverie.tensor.cpu.simd.Reductions;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Reduce;
import reverie.tensor.op.Unary;

/** Activations, sums, products and sums down columns: {@code elements.c}. */
public final class NativeElements {
  /** Elements of a piece of work. */
  private static final long CHUNK = 1 << 14;

  /** Rows that are summed in float32. */
  private static final int RUN = 256;

  /** Numbers that are a row of a sum of all numbers. */
  private static final int LINE = 128;

  private final MethodHandle geglu;
  private final MethodHandle gegluBackward;
  private final MethodHandle exp;
  private final MethodHandle silu;
  private final MethodHandle siluBackward;
  private final MethodHandle add;
  private final MethodHandle multiply;
  private final MethodHandle addRow;
  private final MethodHandle sumRows;
  private final MethodHandle squareDistances;

  public NativeElements(NativeLibrary library) {
    geglu = library.function("geglu", "pplll");
    gegluBackward = library.function("geglu_backward", "pppplll");
    exp = library.function("exp", "ppll");
    silu = library.function("silu", "ppll");
    siluBackward = library.function("silu_backward", "pppll");
    add = library.function("add", "pppfll");
    multiply = library.function("multiply", "pppll");
    addRow = library.function("add_row", "ppplll");
    sumRows = library.function("sum_rows", "ppll");
    squareDistances = library.function("square_distances", "pppll");
  }

  /** What is done with the elements, or rows, from one to another. */
  private interface Piece {
    void run(long first, long end) throws Throwable;
  }

  private static void share(Parallel parallel, long count, long perChunk, Piece piece) {
    parallel.forEach(
        Math.toIntExact((count + perChunk - 1) / perChunk),
        chunk -> {
          try {
            piece.run(chunk * perChunk, Math.min(count, (chunk + 1) * perChunk));
          } catch (Throwable e) {
            throw NativeLibrary.failure(e);
          }
        });
  }

  public void geglu(Parallel parallel, Tensor x, Tensor y) {
    long from = address(x);
    long to = address(y);
    long c = y.dim(-1);
    share(
        parallel,
        Fusions.rows(y),
        Math.max(1, CHUNK / Math.max(1, c)),
        (first, end) -> geglu(from + 8 * first * c, to + 4 * first * c, end - first, c));
  }

  /** Some rows of 2c numbers. */
  public void geglu(long from, long to, long rows, long c) {
    try {
      geglu.invokeExact(from, to, 0L, rows, c);
    } catch (Throwable e) {
      throw NativeLibrary.failure(e);
    }
  }

  /** The gradient dx for some rows, and y again unless its address is 0. */
  public void gegluBackward(long x, long dy, long dx, long y, long rows, long c) {
    try {
      gegluBackward.invokeExact(x, dy, dx, y, 0L, rows, c);
    } catch (Throwable e) {
      throw NativeLibrary.failure(e);
    }
  }

  /** Adds the sums of columns of some rows to what is at {@code add}, or to nothing. */
  public void sumRows(long x, long rows, long c, long to, long add) {
    try (Scratch scratch = Scratch.frame()) {
      long sums = add == 0 ? to : scratch.floats(c);
      try {
        sumRows.invokeExact(x, sums, rows, c);
        if (add != 0) {
          add(add, sums, to, 1, 0, c);
        }
      } catch (Throwable e) {
        throw NativeLibrary.failure(e);
      }
    }
  }

  public void gegluBackward(Parallel parallel, Tensor[] inputs, Tensor output) {
    long x = address(inputs[0]);
    long dy = address(inputs[1]);
    long dx = address(output);
    long c = inputs[1].dim(-1);
    share(
        parallel,
        Fusions.rows(inputs[1]),
        Math.max(1, CHUNK / Math.max(1, c)),
        (first, end) -> {
          long at = 8 * first * c;
          gegluBackward(x + at, dy + 4 * first * c, dx + at, 0, end - first, c);
        });
  }

  /** False for what is left to the Vector API. */
  public boolean unary(Parallel parallel, Unary op, Tensor x, Tensor y) {
    if (!x.isContiguous()) {
      return false;
    }
    long from = address(x);
    long to = address(y);
    if (op.kind() == Unary.Kind.SQUARE) {
      multiply(parallel, from, from, to, y.size());
      return true;
    }
    MethodHandle kernel =
        switch (op.kind()) {
          case EXP -> exp;
          case SILU -> silu;
          default -> null;
        };
    if (kernel == null) {
      return false;
    }
    share(
        parallel,
        y.size(),
        CHUNK,
        (first, end) -> {
          kernel.invokeExact(from, to, first, end);
        });
    return true;
  }

  /** Each row's sum of squared differences. */
  public void squareDistances(Parallel parallel, Tensor a, Tensor b, Tensor y) {
    long from = address(a);
    long minus = address(b);
    long to = address(y);
    long c = y.size() == 0 ? 0 : a.size() / y.size();
    share(
        parallel,
        y.size(),
        Math.max(1, CHUNK / Math.max(1, c)),
        (first, end) -> {
          long at = 4 * first * c;
          squareDistances.invokeExact(from + at, minus + at, to + 4 * first, end - first, c);
        });
  }

  /** False for what is left to the Vector API. */
  public boolean siluBackward(Parallel parallel, Tensor[] inputs, Tensor output) {
    if (!alike(inputs, output)) {
      return false;
    }
    long x = address(inputs[0]);
    long dy = address(inputs[1]);
    long dx = address(output);
    share(
        parallel,
        output.size(),
        CHUNK,
        (first, end) -> {
          siluBackward.invokeExact(x, dy, dx, first, end);
        });
    return true;
  }

  /** False for what is left to the Vector API. */
  public boolean binary(Parallel parallel, Binary op, Tensor[] inputs, Tensor output) {
    long a = address(inputs[0]);
    long b = address(inputs[1]);
    long y = address(output);
    if (!alike(inputs, output)) {
      return op.kind() == Binary.Kind.ADD
          && (addRow(parallel, inputs[0], inputs[1], output)
              || addRow(parallel, inputs[1], inputs[0], output));
    }
    switch (op.kind()) {
      case ADD ->
          share(parallel, output.size(), CHUNK, (first, end) -> add(a, b, y, 1, first, end));
      case SUB ->
          share(parallel, output.size(), CHUNK, (first, end) -> add(a, b, y, -1, first, end));
      case MUL -> multiply(parallel, a, b, y, output.size());
      default -> {
        return false;
      }
    }
    return true;
  }

  private void add(long a, long b, long y, float factor, long first, long end) throws Throwable {
    add.invokeExact(a, b, y, factor, first, end);
  }

  private void multiply(Parallel parallel, long a, long b, long y, long count) {
    share(
        parallel,
        count,
        CHUNK,
        (first, end) -> {
          multiply.invokeExact(a, b, y, first, end);
        });
  }

  private boolean addRow(Parallel parallel, Tensor x, Tensor row, Tensor output) {
    if (output.shape().rank() == 0
        || !x.shape().equals(output.shape())
        || !x.isContiguous()
        || !row.isContiguous()
        || row.size() != output.dim(-1)
        || row.shape().rank() == 0
        || row.dim(-1) != output.dim(-1)) {
      return false;
    }
    long from = address(x);
    long b = address(row);
    long y = address(output);
    long c = output.dim(-1);
    share(
        parallel,
        Fusions.rows(output),
        Math.max(1, CHUNK / Math.max(1, c)),
        (first, end) -> {
          addRow.invokeExact(from, b, y, first, end, c);
        });
    return true;
  }

  /** Whether both inputs lie in memory as the output does. */
  private static boolean alike(Tensor[] inputs, Tensor output) {
    return inputs[0].isContiguous()
        && inputs[1].isContiguous()
        && inputs[0].shape().equals(output.shape())
        && inputs[1].shape().equals(output.shape());
  }

  /** Sums over neighbouring axes; false for what is left to the Vector API. */
  public boolean reduce(Parallel parallel, Reduce op, Tensor x, Tensor y) {
    if (op.kind() != Reduce.Kind.SUM || !x.isContiguous() || x.size() == 0 || y.size() == 0) {
      return false;
    }
    int[] axes = op.axes();
    for (int i = 1; i < axes.length; i++) {
      if (axes[i] != axes[i - 1] + 1) {
        return false;
      }
    }
    long count = x.size() / y.size();
    int end = axes.length == 0 ? x.shape().rank() : axes[axes.length - 1] + 1;
    long inner = 1;
    for (int axis = end; axis < x.shape().rank(); axis++) {
      inner *= x.dim(axis);
    }
    if (y.size() == 1 && count > LINE) {
      total(parallel, address(x), count, address(y));
      return true;
    }
    if (inner > 1) {
      sum(parallel, address(x), y.size() / inner, count, inner, address(y));
      return true;
    }
    return false;
  }

  /** All numbers: lines of them as rows, and what is left over. */
  private void total(Parallel parallel, long from, long count, long to) {
    try (Scratch scratch = Scratch.frame()) {
      long rows = count / LINE;
      long parts = scratch.floats(LINE);
      sum(parallel, from, 1, rows, LINE, parts);
      parallel.forEach(
          1,
          _ -> {
            double sum = Reductions.sum(from + 4 * rows * LINE, (int) (count - rows * LINE));
            for (int i = 0; i < LINE; i++) {
              sum += get(parts + 4L * i);
            }
            set(to, (float) sum);
          });
    }
  }

  /** to[outer, c]: down the columns of every matrix of [outer, rows, c]. */
  private void sum(Parallel parallel, long from, long outer, long rows, long c, long to) {
    long runs = (rows + RUN - 1) / RUN;
    try (Scratch scratch = Scratch.frame()) {
      long partial = runs == 1 ? to : scratch.floats(outer * runs * c);
      share(
          parallel,
          outer * runs,
          Math.max(1, CHUNK / (Math.min(RUN, rows) * c)),
          (first, end) -> {
            for (long i = first; i < end; i++) {
              long row = i % runs * RUN;
              long at = from + 4 * (i / runs * rows + row) * c;
              sumRows.invokeExact(at, partial + 4 * i * c, Math.min(RUN, rows - row), c);
            }
          });
      if (runs > 1) {
        share(
            parallel,
            outer,
            Math.max(1, CHUNK / (runs * c)),
            (first, end) -> {
              for (long i = first; i < end; i++) {
                Reductions.join(
                    false, partial + 4 * i * runs * c, to + 4 * i * c, (int) runs, (int) c);
              }
            });
      }
    }
  }
}
