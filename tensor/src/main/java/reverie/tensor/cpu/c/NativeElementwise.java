// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.Elementwise;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Binary;
import reverie.tensor.op.ElementFunction;
import reverie.tensor.op.Unary;

/** Functions of single elements: {@code elements.c}, {@code maps.c}. */
final class NativeElementwise extends Elementwise {
  /** Elements of a task that adds a row to others. */
  private static final long TASK = 1 << 14;

  private final Kernels kernels;

  NativeElementwise(Kernels kernels) {
    this.kernels = kernels;
  }

  @Override
  public void run(Parallel parallel, ElementFunction op, Tensor[] inputs, Tensor output) {
    boolean done =
        op instanceof Binary binary
            && binary.kind() == Binary.Kind.ADD
            && (addRow(parallel, inputs[0], inputs[1], output)
                || addRow(parallel, inputs[1], inputs[0], output));
    if (!done) {
      super.run(parallel, op, inputs, output);
    }
  }

  @Override
  protected void unary(Unary.Kind kind, long out, long a, int count) {
    if (kind == Unary.Kind.EXP) {
      kernels.exp.run(a, out, 0, count);
    } else if (kind == Unary.Kind.SILU) {
      kernels.silu.run(a, out, 0, count);
    } else {
      kernels.unary.run(kind.ordinal(), a, out, count);
    }
  }

  @Override
  protected void binary(Binary.Kind kind, long out, long a, long b, int count) {
    kernels.binary.run(kind.ordinal(), a, b, out, count);
  }

  @Override
  protected void affine(long out, long a, float scale, float shift, int count) {
    kernels.affine.run(a, out, scale, shift, count);
  }

  @Override
  protected void clamp(long out, long a, float low, float high, int count) {
    kernels.clamp.run(a, out, low, high, count);
  }

  @Override
  protected void select(long out, long mask, long a, long b, int count) {
    kernels.select.run(mask, a, b, out, count);
  }

  @Override
  protected void siluBackward(long out, long x, long dy, int count) {
    kernels.siluBackward.run(x, dy, out, 0, count);
  }

  @Override
  protected void geluBackward(long out, long x, long dy, int count) {
    kernels.geluBackward.run(x, dy, out, count);
  }

  /** Adds the same row to all others; false if this is something else. */
  private boolean addRow(Parallel parallel, Tensor x, Tensor row, Tensor output) {
    if (output.shape().rank() == 0
        || !x.shape().equals(output.shape())
        || !x.isContiguous()
        || !row.isContiguous()
        || row.size() != output.dim(-1)
        || row.shape().rank() == 0
        || row.dim(-1) != output.dim(-1)
        || row.shape().equals(output.shape())) {
      return false;
    }
    long from = address(x);
    long b = address(row);
    long y = address(output);
    long c = output.dim(-1);
    Tasks.of(
        parallel,
        output.shape().rows(),
        Math.max(1, TASK / Math.max(1, c)),
        (first, end) -> kernels.addRow.run(from, b, y, first, end, c));
    return true;
  }

  /** Adds the sums of columns of some rows to what is at {@code add}, or to nothing. */
  void sumRows(long x, long rows, long c, long to, long add) {
    try (Scratch scratch = Scratch.frame()) {
      long sums = add == 0 ? to : scratch.floats(c);
      kernels.sumRows.run(x, sums, rows, c);
      if (add != 0) {
        kernels.add.run(add, sums, to, 1, 0, c);
      }
    }
  }
}
