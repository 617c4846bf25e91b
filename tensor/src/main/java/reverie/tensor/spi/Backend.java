// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.spi;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import reverie.tensor.DType;
import reverie.tensor.Storage;
import reverie.tensor.Tensor;
import reverie.tensor.op.Op;

/**
 * What a device must be able to do. The core has checked types and shapes, broadcast, made inputs
 * contiguous where the backend asks for it, and supplies outputs and scratch: {@link #run} never
 * validates, allocates or synchronises.
 */
public interface Backend {
  /** Short name: {@code cpu}, {@code cuda}, {@code reference}. */
  String name();

  /** What computes, for people: the name, and what was chosen. */
  default String describe() {
    return name();
  }

  /** The type in which this backend computes. */
  DType floatType();

  /**
   * Memory of at least this many bytes (0 allowed), contents undefined, aligned for the widest
   * vector.
   */
  Buffer allocate(long bytes);

  /** Bytes of which the addresses of tensors and scratch in a captured step are multiples. */
  default int alignment() {
    return 64;
  }

  /** Gives a buffer back, for reuse. */
  void release(Buffer buffer);

  /** A piece of a buffer: the same memory, not to be released itself. */
  Buffer part(Buffer whole, long byteOffset, long bytes);

  /**
   * Gives memory back to the system that no tensor occupies and that is kept for the next ones:
   * after work whose sizes do not come again.
   */
  default void trim() {}

  /** Gives the pages of a buffer that stays allocated, but whose values nobody needs, back. */
  default void discard(Buffer buffer) {}

  /** Bytes allocated and not released: what leak checks compare. */
  long liveBytes();

  /**
   * Whether {@link #run} knows this operation on these inputs; fused operations are decomposed
   * otherwise.
   */
  boolean supports(Op op, Tensor[] inputs);

  /**
   * Whether {@link #run} reads this input through its strides; it is made contiguous otherwise.
   * What the operation says unless this is overridden.
   */
  default boolean acceptsStrides(Op op, int input) {
    return op.stridedInputs();
  }

  /** Bytes of scratch that {@link #run} needs, contents undefined. */
  long scratchBytes(Op op, Tensor[] inputs, Tensor[] outputs);

  /**
   * Computes. Outputs are contiguous and undefined before; for an update in place (see {@code
   * Ops.update}) an output may be the very tensor that is an input.
   *
   * @param scratch {@link #scratchBytes} bytes, or null if none were asked for
   */
  void run(Op op, Tensor[] inputs, Tensor[] outputs, Buffer scratch);

  /**
   * The steps of a function that is captured, as this backend carries them out best: the same
   * values in what is kept and in all memory that is there already, by other steps or in tensors of
   * other types. No one but this backend sees them.
   *
   * @param kept what is read after the last step
   */
  default List<Step> arrange(List<Step> steps, Set<Storage> kept) {
    return steps;
  }

  /**
   * Prepares a list of operations whose memory will never move, to be carried out many times: what
   * can be decided once is decided here. Values are read and written by {@link Replay#run} alone.
   */
  default Replay prepare(List<Call> calls) {
    return new Replay() {
      @Override
      public void run(long[] nanos) {
        for (int i = 0; i < calls.size(); i++) {
          Call call = calls.get(i);
          long start = System.nanoTime();
          Backend.this.run(call.op(), call.inputs(), call.outputs(), call.scratch());
          if (nanos != null) {
            synchronize();
            nanos[i] += System.nanoTime() - start;
          }
        }
      }

      @Override
      public void close() {}
    };
  }

  /** Bytes that a captured step may take before anything is computed twice to save some. */
  default long rematerializeAboveBytes() {
    return 512L << 20;
  }

  /**
   * Into how many micro-batches a batch of independent samples is best divided; at least 1. It
   * depends on nothing else, so that results do not.
   */
  default int microBatches(int samples) {
    return 1;
  }

  /** How many bodies {@link #parallelFor} carries out at once. */
  default int workers() {
    return 1;
  }

  /**
   * Carries out {@code body} for 0 to n−1, begun in this order, each by one thread with all
   * operations and replays in it; returns when they are done.
   */
  default void parallelFor(int n, IntConsumer body) {
    for (int i = 0; i < n; i++) {
      body.accept(i);
    }
  }

  /**
   * Waits inside a body of {@link #parallelFor} for something that happens in another. Meanwhile
   * the thread may take part in that one's operations.
   */
  default void await(BooleanSupplier done) {
    while (!done.getAsBoolean()) {
      Thread.onSpinWait();
    }
  }

  /** Copies host bytes to a buffer. */
  void upload(MemorySegment source, Buffer target, long targetByteOffset);

  /** Copies a buffer's bytes to the host, after all work on it is done. */
  void download(Buffer source, long sourceByteOffset, MemorySegment target);

  /** Waits until all work has been done. */
  void synchronize();
}
