// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Locale;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.KernelLibrary;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Pool;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.cpu.threads.Recording;
import reverie.tensor.cpu.threads.Team;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Affine;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;
import reverie.tensor.op.AveragePool;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Clamp;
import reverie.tensor.op.Concat;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.Copy;
import reverie.tensor.op.CustomOp;
import reverie.tensor.op.Embedding;
import reverie.tensor.op.Expand;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.FeedForwardBackward;
import reverie.tensor.op.Fill;
import reverie.tensor.op.GaussianLogProb;
import reverie.tensor.op.Geglu;
import reverie.tensor.op.GegluBackward;
import reverie.tensor.op.GeluBackward;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.LayerNormBackward;
import reverie.tensor.op.Lerp;
import reverie.tensor.op.Linear;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;
import reverie.tensor.op.Pad;
import reverie.tensor.op.Permute;
import reverie.tensor.op.Power;
import reverie.tensor.op.RandomNormal;
import reverie.tensor.op.Reduce;
import reverie.tensor.op.Reshape;
import reverie.tensor.op.RoundTo;
import reverie.tensor.op.ScatterRows;
import reverie.tensor.op.Select;
import reverie.tensor.op.SiluBackward;
import reverie.tensor.op.Slice;
import reverie.tensor.op.Softmax;
import reverie.tensor.op.SoftmaxBackward;
import reverie.tensor.op.Unary;
import reverie.tensor.op.UpsampleNearest;
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
  private final KernelLibrary kernels;

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

  /** Uses kernels that are called so; null where they are not available. */
  CpuBackend(int threads, String label, KernelLibrary kernels) {
    if (kernels == null) {
      throw new ReverieException(
          "cpu device: expected kernels of set "
              + label
              + ", but they were not built, or this processor lacks the instructions",
          "install gcc or clang and make and build again, or leave the choice to Reverie");
    }
    team = new Team(threads);
    this.label = label;
    this.kernels = kernels;
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
  public long liveBytes() {
    return pool.live();
  }

  @Override
  public boolean supports(Op op, Tensor[] inputs) {
    return op instanceof CustomOp custom
        ? CustomKernels.supports(custom, inputs)
        : kernels.supports(op);
  }

  @Override
  public long scratchBytes(Op op, Tensor[] inputs, Tensor[] outputs) {
    return 0;
  }

  @Override
  public void run(Op op, Tensor[] inputs, Tensor[] outputs, Buffer scratch) {
    run(team, op, inputs, outputs);
  }

  @Override
  public Replay prepare(List<Call> calls) {
    Recording recording = new Recording(team);
    for (int i = 0; i < calls.size(); i++) {
      Call call = calls.get(i);
      recording.record(i, () -> run(recording, call.op(), call.inputs(), call.outputs()));
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

  private void run(Parallel parallel, Op op, Tensor[] inputs, Tensor[] outputs) {
    Tensor y = outputs[0];
    switch (op) {
      case Affine _,
          Binary _,
          Clamp _,
          GeluBackward _,
          Power _,
          RoundTo _,
          Select _,
          SiluBackward _,
          Unary _ ->
          kernels.elementwise().run(parallel, op, inputs, y);
      case Concat concat -> Movement.concat(parallel, concat.axis(), inputs, y);
      case Copy _, Expand _, Permute _, Reshape _, Slice _ -> Movement.copy(parallel, inputs[0], y);
      case Embedding _ -> Movement.embedding(parallel, inputs[0], inputs[1], y);
      case Fill fill -> Movement.fill(parallel, (float) fill.value(), y);
      case Pad pad -> Movement.pad(parallel, pad.axis(), pad.before(), inputs[0], y);
      case RandomNormal normal -> RandomNumbers.normal(parallel, normal, y);
      case ScatterRows _ -> Movement.scatter(parallel, inputs[0], inputs[1], y);
      case UpsampleNearest up -> Movement.upsample(parallel, up.factor(), inputs[0], y);
      case Conv2d o -> kernels.convolution().forward(parallel, o, inputs, outputs);
      case Conv2dInputGradient o ->
          kernels.convolution().inputGradient(parallel, o, inputs, outputs);
      case Conv2dWeightGradient o ->
          kernels.convolution().weightGradient(parallel, o, inputs, outputs);
      case Linear o -> kernels.matrices().linear(parallel, o, inputs, outputs);
      case MatMul o -> kernels.matrices().matMul(parallel, o, inputs, outputs);
      case Attention o -> kernels.attention().forward(parallel, o, inputs, outputs);
      case AttentionBackward o -> kernels.attention().backward(parallel, o, inputs, outputs);
      case FeedForward o -> kernels.feedForward().forward(parallel, o, inputs, outputs);
      case FeedForwardBackward o -> kernels.feedForward().backward(parallel, o, inputs, outputs);
      case Geglu o -> kernels.gates().geglu(parallel, o, inputs, outputs);
      case GegluBackward o -> kernels.gates().gegluBackward(parallel, o, inputs, outputs);
      case Softmax o -> kernels.gates().softmax(parallel, o, inputs, outputs);
      case SoftmaxBackward o -> kernels.gates().softmaxBackward(parallel, o, inputs, outputs);
      case GroupNorm o -> kernels.norms().groupNorm(parallel, o, inputs, outputs);
      case GroupNormBackward o -> kernels.norms().groupNormBackward(parallel, o, inputs, outputs);
      case LayerNorm o -> kernels.norms().layerNorm(parallel, o, inputs, outputs);
      case LayerNormBackward o -> kernels.norms().layerNormBackward(parallel, o, inputs, outputs);
      case AdamW o -> kernels.optimizers().adamW(parallel, o, inputs, outputs);
      case Lerp o -> kernels.optimizers().lerp(parallel, o, inputs, outputs);
      case AveragePool o -> kernels.reductions().averagePool(parallel, o, inputs, outputs);
      case GaussianLogProb o -> kernels.reductions().gaussianLogProb(parallel, o, inputs, outputs);
      case Reduce o -> kernels.reductions().reduce(parallel, o, inputs, outputs);
      case CustomOp o -> CustomKernels.run(parallel, o, inputs, outputs);
    }
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
