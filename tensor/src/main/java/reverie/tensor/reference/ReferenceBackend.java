// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.reference;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLong;
import reverie.tensor.DType;
import reverie.tensor.Tensor;
import reverie.tensor.op.Affine;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Clamp;
import reverie.tensor.op.Concat;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.Convolution;
import reverie.tensor.op.Copy;
import reverie.tensor.op.Creation;
import reverie.tensor.op.Embedding;
import reverie.tensor.op.Fill;
import reverie.tensor.op.Fused;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;
import reverie.tensor.op.Pad;
import reverie.tensor.op.Power;
import reverie.tensor.op.RandomNormal;
import reverie.tensor.op.Reduce;
import reverie.tensor.op.RoundTo;
import reverie.tensor.op.ScatterRows;
import reverie.tensor.op.Select;
import reverie.tensor.op.Unary;
import reverie.tensor.op.View;
import reverie.tensor.op.Widen;
import reverie.tensor.spi.Backend;
import reverie.tensor.spi.Buffer;

/**
 * The oracle: scalar float64 in loops that can be checked by eye. Gradient rules are checked on it
 * and every other backend's kernels against it. It knows no fused operation, so their
 * decompositions define what they mean.
 */
public final class ReferenceBackend implements Backend {
  private final AtomicLong live = new AtomicLong();

  /** Memory of the Java heap; {@code long[]} makes it aligned for every element type. */
  record HeapBuffer(MemorySegment segment, long bytes) implements Buffer {}

  @Override
  public String name() {
    return "reference";
  }

  @Override
  public DType floatType() {
    return DType.F64;
  }

  @Override
  public Buffer allocate(long bytes) {
    live.addAndGet(bytes);
    return new HeapBuffer(MemorySegment.ofArray(new long[Math.toIntExact((bytes + 7) / 8)]), bytes);
  }

  @Override
  public Buffer part(Buffer whole, long byteOffset, long bytes) {
    return new HeapBuffer(((HeapBuffer) whole).segment().asSlice(byteOffset, bytes), bytes);
  }

  @Override
  public void release(Buffer buffer) {
    live.addAndGet(-buffer.bytes());
  }

  @Override
  public long liveBytes() {
    return live.get();
  }

  @Override
  public boolean supports(Op op, Tensor[] inputs) {
    return switch (op) {
      case Fused _, View _ -> false;
      case Affine _,
          Binary _,
          Clamp _,
          Concat _,
          Convolution _,
          Copy _,
          Embedding _,
          Creation _,
          MatMul _,
          Pad _,
          Power _,
          Reduce _,
          RoundTo _,
          ScatterRows _,
          Select _,
          Unary _,
          Widen _ ->
          true;
    };
  }

  @Override
  public boolean acceptsStrides(Op op, int input) {
    return op instanceof Copy;
  }

  @Override
  public long scratchBytes(Op op, Tensor[] inputs, Tensor[] outputs) {
    return 0;
  }

  @Override
  public void run(Op op, Tensor[] inputs, Tensor[] outputs, Buffer scratch) {
    Array[] in = new Array[inputs.length];
    for (int i = 0; i < in.length; i++) {
      in[i] = Array.of(inputs[i]);
    }
    Array out = Array.of(outputs[0]);
    switch (op) {
      case Affine a -> ElementKernels.map(x -> a.scale() * x + a.shift(), in[0], out);
      case Binary b -> ElementKernels.map2(ElementKernels.function(b.kind()), in[0], in[1], out);
      case Clamp c -> ElementKernels.map(x -> Math.min(Math.max(x, c.low()), c.high()), in[0], out);
      case Concat c -> MoveKernels.concat(c.axis(), in, out);
      case Conv2d c -> ProductKernels.conv2d(c, in, out);
      case Conv2dInputGradient c -> ProductKernels.conv2dInputGradient(c, in[0], in[1], out);
      case Conv2dWeightGradient c -> ProductKernels.conv2dWeightGradient(c, in[0], in[1], out);
      case Copy _ -> MoveKernels.copy(in[0], out);
      case Embedding _ -> MoveKernels.embedding(in[0], in[1], out);
      case Fill f -> MoveKernels.fill(f.value(), out);
      case MatMul _ -> ProductKernels.matmul(in[0], in[1], out);
      case Pad p -> MoveKernels.pad(p, in[0], out);
      case Power p -> ElementKernels.map(x -> StrictMath.pow(x, p.exponent()), in[0], out);
      case RandomNormal r -> MoveKernels.randomNormal(r, out);
      case Reduce r -> MoveKernels.reduce(r, in[0], out);
      case RoundTo r -> ElementKernels.map(r.narrower()::round, in[0], out);
      case ScatterRows _ -> MoveKernels.scatterRows(in[0], in[1], out);
      case Select _ -> ElementKernels.select(in[0], in[1], in[2], out);
      case Unary u -> ElementKernels.map(ElementKernels.function(u.kind()), in[0], out);
      case Widen w -> MoveKernels.widen(w, in[0], out);
      case Fused _, View _ ->
          throw new AssertionError(
              op.name() + " is a view or decomposed and never reaches a backend");
    }
  }

  @Override
  public void upload(MemorySegment source, Buffer target, long targetByteOffset) {
    MemorySegment.copy(
        source, 0, ((HeapBuffer) target).segment(), targetByteOffset, source.byteSize());
  }

  @Override
  public void download(Buffer source, long sourceByteOffset, MemorySegment target) {
    MemorySegment.copy(
        ((HeapBuffer) source).segment(), sourceByteOffset, target, 0, target.byteSize());
  }

  @Override
  public void synchronize() {}
}
