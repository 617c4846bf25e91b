// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.memory;

import static reverie.tensor.cpu.memory.Memory.copy;
import static reverie.tensor.cpu.memory.Memory.fill;
import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.getInt;
import static reverie.tensor.cpu.memory.Memory.setInt;

import reverie.tensor.Shape;
import reverie.tensor.Tensor;

/**
 * One input of an element-wise operation, seen as a sequence in the row-major order of the output.
 *
 * <p>Kernels work on contiguous blocks only. A contiguous input gives its own memory; any other
 * (broadcast, permuted, sliced) is first laid out block by block in working memory that stays in
 * the first-level cache, so there is one loop for each function instead of one for each combination
 * of strides.
 */
public final class Operand {
  /** Periods up to this many elements are laid out once for a task. */
  private static final int MAX_PERIOD = 4096;

  private final long address;
  private final int[] dims;
  private final long[] strides;

  private Operand(long address, int[] dims, long[] strides) {
    this.address = address;
    this.dims = dims;
    this.strides = strides;
  }

  /** An input broadcast to the output's shape. */
  public static Operand of(Tensor input, Shape output) {
    return of(Memory.address(input), input.shape(), input.strides(), output);
  }

  /** An input with these strides (in elements), broadcast to the output's shape. */
  public static Operand of(long address, Shape from, int[] fromStrides, Shape output) {
    int rank = output.rank();
    int[] dims = new int[rank];
    long[] strides = new long[rank];
    int kept = 0;
    for (int axis = 0; axis < rank; axis++) {
      int own = axis - (rank - from.rank());
      long stride = own < 0 || from.dim(own) == 1 ? 0 : fromStrides[own];
      int dim = output.dim(axis);
      if (dim == 1) {
        continue;
      }
      if (kept > 0 && strides[kept - 1] == stride * dim) {
        dims[kept - 1] *= dim;
        strides[kept - 1] = stride;
      } else {
        dims[kept] = dim;
        strides[kept++] = stride;
      }
    }
    return new Operand(
        address, java.util.Arrays.copyOf(dims, kept), java.util.Arrays.copyOf(strides, kept));
  }

  private boolean constant() {
    return dims.length == 1 && strides[0] == 0;
  }

  /** Whether it lies in memory as the output does. */
  public boolean contiguous() {
    return dims.length == 0 || (dims.length == 1 && strides[0] == 1);
  }

  /** How to copy it if its last axis is spread out in memory; else null. */
  public Permutation permutation() {
    int last = dims.length - 1;
    return last < 1 || strides[last] == 0 || strides[last] == 1
        ? null
        : new Permutation(address, dims, strides);
  }

  private boolean periodic() {
    return dims.length == 2 && strides[0] == 0 && strides[1] == 1 && dims[1] <= MAX_PERIOD;
  }

  /** Floats of working memory that {@link #prepare} and {@link #block} need. */
  public long spare(int blockSize) {
    return contiguous() ? 0 : blockSize + (periodic() ? dims[1] : 0);
  }

  /** Lays out what is the same for all blocks of a task. */
  public void prepare(long spare, int blockSize) {
    if (constant()) {
      fill(spare, get(address), blockSize);
    } else if (periodic()) {
      gather(0, blockSize + dims[1], spare);
    }
  }

  /** The address of {@code count} neighbouring elements from {@code start} on. */
  public long block(long start, int count, long spare) {
    if (contiguous()) {
      return address + 4 * start;
    }
    if (periodic()) {
      return spare + 4 * (start % dims[1]);
    }
    if (!constant()) {
      gather(start, count, spare);
    }
    return spare;
  }

  /** Copies {@code count} elements from {@code start} on to a contiguous place. */
  public void gather(long start, int count, long to) {
    int last = dims.length - 1;
    if (last < 0) {
      fill(to, get(address), count);
      return;
    }
    try (Scratch scratch = Scratch.frame()) {
      // In memory of ours, for this is done for every few elements of awkward tensors.
      long index = scratch.bytes(4L * dims.length);
      long rest = start;
      long from = address;
      for (int axis = last; axis >= 0; axis--) {
        // A periodic operand is read past its last row: the remainder of axis 0 does not matter
        // then.
        int own = (int) (axis == 0 ? rest : rest % dims[axis]);
        setInt(index + 4L * axis, own);
        rest /= dims[axis];
        from += 4 * own * strides[axis];
      }
      long stride = strides[last];
      int done = 0;
      while (done < count) {
        int at = getInt(index + 4L * last);
        int run = last == 0 ? count : Math.min(count - done, dims[last] - at);
        copyRun(from, stride, to + 4L * done, run);
        done += run;
        setInt(index + 4L * last, at + run);
        from += 4 * run * stride;
        for (int axis = last; axis > 0 && getInt(index + 4L * axis) == dims[axis]; axis--) {
          from += 4 * (strides[axis - 1] - dims[axis] * strides[axis]);
          setInt(index + 4L * axis, 0);
          setInt(index + 4L * (axis - 1), getInt(index + 4L * (axis - 1)) + 1);
        }
      }
    }
  }

  private static void copyRun(long from, long stride, long to, int count) {
    if (stride == 1) {
      copy(from, to, count);
    } else if (stride == 0) {
      fill(to, get(from), count);
    } else {
      long step = 4 * stride;
      for (int i = 0; i < count; i++) {
        setInt(to + 4L * i, getInt(from + i * step));
      }
    }
  }
}
