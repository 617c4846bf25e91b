// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.KernelLibrary;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Pool;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Recording;
import reverie.tensor.cpu.threads.Team;
import reverie.tensor.op.Op;
import reverie.tensor.spi.Backend;
import reverie.tensor.spi.Buffer;
import reverie.tensor.spi.Call;
import reverie.tensor.spi.Replay;

/**
 * The processor: float32, vectorised, on several threads; the same bits for any number of them.
 *
 * <p>Kernels take working memory from the thread they run in (see {@link Scratch}), so none is
 * asked of the core.
 */
public final class CpuBackend implements Backend {
  /** Samples of a micro-batch: enough for matrix products, few enough for the cache. */
  private static final int MAX_SAMPLES = 8;

  private static final int MIN_SAMPLES = 4;

  /** So many micro-batches even of a small batch, for several threads. */
  private static final int TARGET_MICRO_BATCHES = 4;

  private final Pool pool = new Pool();
  private final Team team;
  private final String label;
  private final Operations operations;

  /**
   * Uses as many threads as the system property {@code reverie.threads} says, or as there are
   * processors; the kernels that {@code reverie.kernels} names (amx, avx512, avx2, vector), or the
   * fastest that work here.
   */
  public CpuBackend() {
    this(
        Integer.getInteger("reverie.threads", Runtime.getRuntime().availableProcessors()),
        KernelSet.chosen());
  }

  /**
   * Uses this many threads, the calling one included, and these kernels.
   *
   * @throws ReverieException if the kernels are not {@linkplain KernelSet#isAvailable available}
   */
  public CpuBackend(int threads, KernelSet kernelSet) {
    this(threads, kernelSet.label(), kernelSet.load());
  }

  /** Uses kernels that are called so; empty where they are not available. */
  CpuBackend(int threads, String label, Optional<KernelLibrary> kernels) {
    operations =
        new Operations(
            kernels.orElseThrow(() ->
                new ReverieException(
                    "cpu device: expected kernels of set "
                        + label
                        + ", but they were not built, or this processor lacks the instructions",
                    "install gcc or clang and make and build again, or leave the choice to"
                        + " Reverie")));
    team = new Team(threads);
    this.label = label;
  }

  @Override
  public String describe() {
    return String.format(Locale.ROOT, "cpu, %d threads, %s kernels", team.threads(), label);
  }

  @Override
  public String name() {
    return "cpu";
  }

  @Override
  public DType floatType() {
    return DType.F32;
  }

  @Override
  public Buffer allocate(long bytes) {
    return pool.allocate(bytes);
  }

  @Override
  public void release(Buffer buffer) {
    pool.release((Pool.Block) buffer);
  }

  @Override
  public Buffer part(Buffer whole, long byteOffset, long bytes) {
    return Pool.part((Pool.Block) whole, byteOffset, bytes);
  }

  @Override
  public void trim() {
    pool.trim();
  }

  @Override
  public void discard(Buffer buffer) {
    Pool.discard((Pool.Block) buffer);
  }

  @Override
  public long liveBytes() {
    return pool.live();
  }

  @Override
  public boolean supports(Op op, Tensor[] inputs) {
    return operations.supports(op, inputs);
  }

  @Override
  public long scratchBytes(Op op, Tensor[] inputs, Tensor[] outputs) {
    return 0;
  }

  @Override
  public void run(Op op, Tensor[] inputs, Tensor[] outputs, Buffer scratch) {
    operations.run(team, op, inputs, outputs);
  }

  @Override
  public Replay prepare(List<Call> calls) {
    Recording recording = new Recording(team);
    for (int i = 0; i < calls.size(); i++) {
      Call call = calls.get(i);
      recording.record(
          i, () -> operations.run(recording, call.op(), call.inputs(), call.outputs()));
    }
    return recording.replay();
  }

  /** So few samples that their memory stays in the cache, and some for every thread. */
  @Override
  public int microBatches(int samples) {
    int small = (samples + MAX_SAMPLES - 1) / MAX_SAMPLES;
    return Math.max(
        small, Math.min(TARGET_MICRO_BATCHES, (samples + MIN_SAMPLES - 1) / MIN_SAMPLES));
  }

  @Override
  public int workers() {
    return team.threads();
  }

  @Override
  public void parallelFor(int n, IntConsumer body) {
    team.parallelFor(n, body);
  }

  @Override
  public void await(BooleanSupplier done) {
    team.help(done);
  }

  @Override
  public void upload(MemorySegment source, Buffer target, long targetByteOffset) {
    MemorySegment.copy(
        source,
        0,
        Memory.ALL,
        ((Pool.Block) target).address() + targetByteOffset,
        source.byteSize());
  }

  @Override
  public void download(Buffer source, long sourceByteOffset, MemorySegment target) {
    MemorySegment.copy(
        Memory.ALL,
        ((Pool.Block) source).address() + sourceByteOffset,
        target,
        0,
        target.byteSize());
  }

  @Override
  public void synchronize() {
    // Every operation has been done when run returns.
  }
}
