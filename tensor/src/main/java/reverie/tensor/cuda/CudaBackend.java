// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Locale;
import reverie.tensor.DType;
import reverie.tensor.Tensor;
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
 * A graphics processor: float32 tensors, products in a {@link Precision}, the same bits every time.
 * Operations are carried out in order on one stream, and wait only where values are read. Threads
 * take turns, so that none gets into what another captures.
 */
public final class CudaBackend implements Backend, AutoCloseable {
  private final Driver driver;
  private final Blas blas;
  private final Dnn dnn;
  private final Precision precision;
  private final Pool pool;
  private final Elements elements;
  private final Moves moves;
  private final Reductions reductions;
  private final Norms norms;
  private final Attentions attentions;
  private final Products products;
  private final Convolutions convolutions;

  /** Works through these, which it closes with itself. */
  public CudaBackend(Driver driver, Blas blas, Dnn dnn, Precision precision) {
    this.driver = driver;
    this.blas = blas;
    this.dnn = dnn;
    this.precision = precision;
    pool = new Pool(driver);
    Kernels kernels = new Kernels(driver);
    elements = new Elements(kernels);
    moves = new Moves(kernels);
    reductions = new Reductions(kernels);
    norms = new Norms(kernels);
    attentions = new Attentions(kernels, precision);
    products = new Products(blas, elements, precision);
    convolutions = new Convolutions(dnn, products, elements, moves, precision);
  }

  @Override
  public String name() {
    return "cuda";
  }

  @Override
  public String describe() {
    return String.format(
        Locale.ROOT,
        "cuda, %s, %s, %s, %s",
        driver.properties().name(),
        precision.label(),
        blas.describe(),
        dnn.describe());
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
    return pool.liveBytes();
  }

  @Override
  public boolean supports(Op op, Tensor[] inputs) {
    return switch (op) {
      case CustomOp _, FeedForward _, FeedForwardBackward _ -> false;
      case Attention attention -> Attentions.fits(attention.heads(), inputs);
      case AttentionBackward attention -> Attentions.fits(attention.heads(), inputs);
      default -> true;
    };
  }

  /** Half of the device's memory. */
  @Override
  public long rematerializeAboveBytes() {
    return driver.properties().bytes() / 2;
  }

  @Override
  public long scratchBytes(Op op, Tensor[] inputs, Tensor[] outputs) {
    return Products.scratchBytes(op, inputs)
        + convolutions.scratchBytes(op, inputs, outputs[0])
        + reductions.scratchBytes(op, inputs)
        + norms.scratchBytes(op, inputs)
        + attentions.scratchBytes(op, inputs);
  }

  @Override
  public synchronized void run(Op op, Tensor[] inputs, Tensor[] outputs, Buffer scratch) {
    Space space = new Space(scratch);
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
          elements.run(op, inputs, y);
      case Copy _, Expand _, Permute _, Reshape _, Slice _ -> elements.copy(inputs[0], y);
      case Fill fill -> elements.fill(fill.value(), y);
      case Lerp _ -> elements.lerp(inputs, y);
      case AdamW adamW -> elements.adamW(adamW, inputs, outputs);
      case Geglu _ -> elements.geglu(inputs[0], y);
      case GegluBackward _ -> elements.gegluBackward(inputs[0], inputs[1], y);
      case Conv2d _, Conv2dInputGradient _, Conv2dWeightGradient _ ->
          convolutions.run(op, inputs, y, space);
      case Linear _ -> products.linear(inputs, y);
      case MatMul _ -> products.matmul(inputs[0], inputs[1], y, space);
      case Concat concat -> moves.concat(concat.axis(), inputs, y);
      case Pad pad -> moves.pad(pad, inputs[0], y);
      case Embedding _ -> moves.embedding(inputs[0], inputs[1], y);
      case ScatterRows _ -> moves.scatterRows(inputs[0], inputs[1], y);
      case RandomNormal normal -> moves.randomNormal(normal, y);
      case AveragePool average -> moves.averagePool(average.factor(), inputs[0], y);
      case UpsampleNearest upsample -> moves.upsample(upsample.factor(), inputs[0], y);
      case Reduce reduce -> reductions.reduce(reduce, inputs[0], y, space);
      case Softmax _ -> reductions.softmax(inputs[0], y);
      case SoftmaxBackward _ -> reductions.softmaxBackward(inputs[0], inputs[1], y);
      case GaussianLogProb _ -> reductions.gaussianLogProb(inputs, y, space);
      case GroupNorm norm -> norms.groupNorm(norm, inputs, outputs, space);
      case GroupNormBackward norm -> norms.groupNormBackward(norm, inputs, outputs, space);
      case LayerNorm norm -> norms.layerNorm(norm, inputs, outputs);
      case LayerNormBackward _ -> norms.layerNormBackward(inputs, outputs, space);
      case Attention attention -> attentions.forward(attention, inputs, outputs, space);
      case AttentionBackward attention -> attentions.backward(attention, inputs, outputs, space);
      case CustomOp _, FeedForward _, FeedForwardBackward _ ->
          throw new IllegalStateException(op.name() + " is decomposed");
    }
  }

  @Override
  public synchronized Replay prepare(List<Call> calls) {
    return new Graph(driver, this, calls);
  }

  @Override
  public synchronized void upload(MemorySegment source, Buffer target, long targetByteOffset) {
    driver.upload(source, ((Pool.Block) target).address() + targetByteOffset);
  }

  @Override
  public synchronized void download(Buffer source, long sourceByteOffset, MemorySegment target) {
    driver.download(((Pool.Block) source).address() + sourceByteOffset, target);
  }

  @Override
  public synchronized void synchronize() {
    driver.synchronize();
  }

  /** Gives all memory back and ends the connection. */
  @Override
  public synchronized void close() {
    try {
      pool.trim();
    } finally {
      dnn.close();
      blas.close();
      driver.close();
    }
  }

  /** The address of a tensor's first element. */
  static long address(Tensor tensor) {
    return ((Pool.Block) tensor.buffer()).address() + tensor.offset() * tensor.dtype().bytes();
  }
}
