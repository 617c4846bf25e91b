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
import reverie.tensor.cpu.c.NativeKernels;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Pool;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.simd.Elementwise;
import reverie.tensor.cpu.simd.Fusions;
import reverie.tensor.cpu.simd.Gates;
import reverie.tensor.cpu.simd.Images;
import reverie.tensor.cpu.simd.Products;
import reverie.tensor.cpu.simd.Reductions;
import reverie.tensor.cpu.simd.Rows;
import reverie.tensor.cpu.simd.Softmaxes;
import reverie.tensor.cpu.simd.Updates;
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
  /** Samples of a slice: enough for matrix products, few enough for the cache. */
  private static final int MOST_SAMPLES = 8;

  private static final int FEW_SAMPLES = 4;

  /** So many slices even of a small batch, for several threads. */
  private static final int WANTED_SLICES = 4;

  private final Pool pool = new Pool();
  private final Team team;
  private final KernelSet kernelSet;

  /** Null if the Vector API does everything. */
  private final NativeKernels kernels;

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
    team = new Team(threads);
    this.kernelSet = kernelSet;
    kernels = kernelSet.open();
    if (kernels == null && kernelSet != KernelSet.VECTOR) {
      throw new ReverieException(
          "cpu device: expected kernels of set "
              + kernelSet.label()
              + ", but they were not built, or this processor lacks the instructions",
          "install gcc or clang and make and build again, or leave the choice to Reverie");
    }
  }

  @Override
  public String describe() {
    return String.format(
        Locale.ROOT, "cpu, %d threads, %s kernels", team.threads(), kernelSet.label());
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
    return switch (op) {
      case CustomOp custom -> CustomKernels.supports(custom, inputs);
      // The Vector API has the parts.
      case FeedForward _, FeedForwardBackward _ -> kernels != null;
      case GroupNorm norm -> kernels != null || norm.activation() == GroupNorm.Activation.NONE;
      case GroupNormBackward norm ->
          kernels != null || norm.activation() == GroupNorm.Activation.NONE;
      default -> true;
    };
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
    int small = (samples + MOST_SAMPLES - 1) / MOST_SAMPLES;
    return Math.max(small, Math.min(WANTED_SLICES, (samples + FEW_SAMPLES - 1) / FEW_SAMPLES));
  }

  @Override
  public int workers() {
    return team.threads();
  }

  @Override
  public void parallelFor(int n, IntConsumer body) {
    team.forEach(n, body);
  }

  @Override
  public void await(BooleanSupplier done) {
    team.help(done);
  }

  private void run(Parallel parallel, Op op, Tensor[] inputs, Tensor[] outputs) {
    if (kernels != null && kernels.run(parallel, op, inputs, outputs)) {
      return;
    }
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
          Elementwise.run(parallel, op, inputs, y);
      case Concat concat -> Rows.concat(parallel, concat.axis(), inputs, y);
      case Conv2d conv -> Products.conv2d(parallel, conv, inputs, y);
      case Conv2dInputGradient g ->
          Products.inputGradient(parallel, g.stride(), g.padding(), inputs[0], inputs[1], y);
      case Conv2dWeightGradient g ->
          Products.weightGradient(parallel, g.stride(), g.padding(), inputs[0], inputs[1], y);
      case Copy _, Expand _, Permute _, Reshape _, Slice _ ->
          Elementwise.copy(parallel, inputs[0], y);
      case Embedding _ -> Rows.embedding(parallel, inputs[0], inputs[1], y);
      case Fill fill -> Rows.fill(parallel, (float) fill.value(), y);
      case Linear _ -> Products.linear(parallel, inputs, y);
      case MatMul _ -> Products.matmul(parallel, inputs[0], inputs[1], y);
      case Pad pad -> Rows.pad(parallel, pad.axis(), pad.before(), inputs[0], y);
      case RandomNormal normal -> Randoms.normal(parallel, normal, y);
      case Reduce reduce -> Reductions.run(parallel, reduce, inputs[0], y);
      case ScatterRows _ -> Rows.scatter(parallel, inputs[0], inputs[1], y);
      case AdamW adamW -> Updates.adamW(parallel, adamW, inputs, outputs);
      case Attention attention -> Fusions.attention(parallel, attention, inputs, outputs);
      case AttentionBackward attention ->
          Fusions.attentionBackward(parallel, attention, inputs, outputs);
      case AveragePool pool -> Images.averagePool(parallel, pool.factor(), inputs[0], y);
      case GaussianLogProb _ -> {
        Images.squareDistances(parallel, inputs[0], inputs[1], y);
        Images.gaussianLogProb(parallel, inputs, y);
      }
      case Geglu _ ->
          Gates.forward(parallel, Fusions.rows(y), y.dim(-1), address(inputs[0]), address(y));
      case GegluBackward _ ->
          Gates.backward(
              parallel,
              Fusions.rows(inputs[1]),
              inputs[1].dim(-1),
              address(inputs[0]),
              address(inputs[1]),
              address(y));
      case GroupNorm norm -> Fusions.groupNorm(parallel, norm, inputs, outputs);
      case GroupNormBackward norm -> Fusions.groupNormBackward(parallel, norm, inputs, outputs);
      case LayerNorm norm -> Fusions.layerNorm(parallel, norm, inputs, outputs);
      case LayerNormBackward _ -> Fusions.layerNormBackward(parallel, inputs, outputs);
      case Lerp _ -> Updates.lerp(parallel, inputs, y);
      case Softmax _ ->
          Softmaxes.forward(parallel, address(inputs[0]), address(y), Fusions.rows(y), y.dim(-1));
      case SoftmaxBackward _ ->
          Softmaxes.backward(
              parallel,
              address(inputs[0]),
              address(inputs[1]),
              address(y),
              Fusions.rows(y),
              y.dim(-1));
      case UpsampleNearest upsample -> Images.upsample(parallel, upsample.factor(), inputs[0], y);
      case CustomOp custom -> CustomKernels.run(parallel, custom, inputs, outputs);
      case FeedForward _, FeedForwardBackward _ ->
          throw new IllegalStateException(op.name() + " is decomposed");
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

  /** The address of a tensor's first element. */
  static long address(Tensor tensor) {
    return ((Pool.Block) tensor.buffer()).address() + tensor.offset() * tensor.dtype().bytes();
  }
}
