// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;
import static reverie.tensor.cuda.kernels.Space.aligned;

import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Dnn;

/**
 * Attention by cuDNN, for bfloat16 factors and sizes of the table. Its log Σ exp is ours, so either
 * may compute the gradients of the other's result.
 */
final class AttentionGraphs {
  /**
   * Heads for which cuDNN is asked.
   *
   * @param narrowest width of keys or values
   * @param widest width of keys or values
   * @param tokens queries and keys that there are at least
   */
  private record Sizes(int narrowest, int widest, int tokens) {
    boolean contain(Dnn.Attention a) {
      return a.b() > 0
          && Math.min(a.d(), a.dv()) >= narrowest
          && Math.max(a.d(), a.dv()) <= widest
          && Math.min(a.tq(), a.tk()) >= tokens;
    }
  }

  /** Guesses, until a device has measured them: what is shorter does not fill one. */
  private static final List<Sizes> TABLE =
      List.of(new Sizes(32, 64, 1024), new Sizes(65, 160, 256));

  /** Elements of bfloat16 to which rows are aligned. */
  private static final int UNIT = 8;

  private final Dnn dnn;
  private final Rehearsal rehearsal;
  private final Moves moves;
  private final Set<Dnn.Attention> known = ConcurrentHashMap.newKeySet();

  AttentionGraphs(Dnn dnn, Rehearsal rehearsal, Moves moves) {
    this.dnn = dnn;
    this.rehearsal = rehearsal;
    this.moves = moves;
  }

  /**
   * Whether cuDNN computes this; the other methods may be called only then.
   *
   * @param logSumExp read or written where it lies
   */
  boolean computes(Dnn.Attention attention, Tensor logSumExp) {
    if (TABLE.stream().noneMatch(sizes -> sizes.contain(attention))
        || !isAligned(attention)
        || !Staging.isAligned(logSumExp)) {
      return false;
    }
    known.add(attention);
    return dnn.supports(attention);
  }

  private static boolean isAligned(Dnn.Attention a) {
    return IntStream.of(a.d(), a.dv(), a.qRow(), a.kRow(), a.vRow()).allMatch(n -> n % UNIT == 0);
  }

  /** For people: how cuDNN computes what it was asked for. */
  List<String> describe() {
    return known.stream().map(a -> a + ": " + dnn.algorithm(a)).sorted().toList();
  }

  /** Room for results of bfloat16, for y if it is none, and for cuDNN. */
  long scratchBytes(Dnn.Attention attention, Tensor... narrowed) {
    long bytes = aligned(dnn.workspaceBytes(attention));
    for (Tensor x : narrowed) {
      bytes += Staging.halvesBytes(x);
    }
    return bytes;
  }

  /** Computes the result and log Σ exp of factors at these addresses. */
  void forward(Dnn.Attention attention, long q, long k, long v, Tensor[] outputs, Space scratch) {
    Tensor y = outputs[0];
    Tensor logSumExp = outputs[1];
    long half = result(y, scratch);
    long workspace = scratch.take(dnn.workspaceBytes(attention));
    rehearsal.call(
        attention,
        new long[] {2 * y.size(), 4 * logSumExp.size()},
        new long[] {half, address(logSumExp)},
        to -> dnn.run(attention, new Dnn.Attended(q, k, v, to[0], to[1], 0, 0, 0, 0, workspace)));
    finish(half, y);
  }

  /**
   * Computes gradients.
   *
   * @param inputs those of the operation, of which y and log Σ exp are read
   * @param outputs dq, dk and dv
   */
  void backward(
      Dnn.Attention attention,
      long q,
      long k,
      long v,
      long dy,
      Tensor[] inputs,
      Tensor[] outputs,
      Space scratch) {
    long y = result(inputs[3], scratch);
    if (!Staging.isHalf(inputs[3])) {
      moves.narrow(address(inputs[3]), y, inputs[3].size());
    }
    long logSumExp = address(inputs[4]);
    long[] halves = new long[outputs.length];
    long[] bytes = new long[outputs.length];
    for (int i = 0; i < outputs.length; i++) {
      halves[i] = result(outputs[i], scratch);
      bytes[i] = 2 * outputs[i].size();
    }
    long workspace = scratch.take(dnn.workspaceBytes(attention));
    rehearsal.call(
        attention,
        bytes,
        halves,
        to ->
            dnn.run(
                attention,
                new Dnn.Attended(q, k, v, y, logSumExp, dy, to[0], to[1], to[2], workspace)));
    for (int i = 0; i < outputs.length; i++) {
      finish(halves[i], outputs[i]);
    }
  }

  /** Where a tensor is bfloat16. */
  private static long result(Tensor x, Space scratch) {
    return Staging.isHalf(x) ? address(x) : scratch.take(2 * x.size());
  }

  private void finish(long half, Tensor y) {
    if (!Staging.isHalf(y)) {
      moves.widen(half, address(y), y.size());
    }
  }
}
