// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.laws;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import reverie.tensor.DType;
import reverie.tensor.Storage;
import reverie.tensor.Tensor;
import reverie.tensor.op.Op;
import reverie.tensor.spi.Backend;
import reverie.tensor.spi.Buffer;
import reverie.tensor.spi.Call;
import reverie.tensor.spi.Replay;
import reverie.tensor.spi.Step;

/**
 * A backend whose fresh memory, outputs and scratch, is full of NaN (−1 for indices), and which
 * checks when a buffer is released that nothing was written behind its end.
 */
final class PoisonedBackend implements Backend {
  private static final int GUARD = 256;

  private final Backend inner;
  private final Map<Buffer, Long> sizes = Collections.synchronizedMap(new IdentityHashMap<>());

  PoisonedBackend(Backend inner) {
    this.inner = inner;
  }

  @Override
  public Buffer allocate(long bytes) {
    Buffer buffer = inner.allocate(bytes + GUARD);
    byte[] poison = new byte[Math.toIntExact(bytes + GUARD)];
    Arrays.fill(poison, (byte) -1);
    inner.upload(MemorySegment.ofArray(poison), buffer, 0);
    sizes.put(buffer, bytes);
    return buffer;
  }

  @Override
  public void release(Buffer buffer) {
    long bytes = sizes.remove(buffer);
    byte[] guard = new byte[GUARD];
    inner.download(buffer, bytes, MemorySegment.ofArray(guard));
    inner.release(buffer);
    for (int i = 0; i < GUARD; i++) {
      if (guard[i] != -1) {
        throw new AssertionError(
            "byte " + i + " after a buffer of " + bytes + " bytes was overwritten");
      }
    }
  }

  @Override
  public int alignment() {
    return inner.alignment();
  }

  @Override
  public Buffer part(Buffer whole, long byteOffset, long bytes) {
    return inner.part(whole, byteOffset, bytes);
  }

  @Override
  public List<Step> arrange(List<Step> steps, Set<Storage> kept) {
    return inner.arrange(steps, kept);
  }

  @Override
  public Replay prepare(List<Call> calls) {
    return inner.prepare(calls);
  }

  @Override
  public String name() {
    return inner.name();
  }

  @Override
  public DType floatType() {
    return inner.floatType();
  }

  @Override
  public long liveBytes() {
    return inner.liveBytes();
  }

  @Override
  public boolean supports(Op op, Tensor[] inputs) {
    return inner.supports(op, inputs);
  }

  @Override
  public boolean acceptsStrides(Op op, int input) {
    return inner.acceptsStrides(op, input);
  }

  @Override
  public long scratchBytes(Op op, Tensor[] inputs, Tensor[] outputs) {
    return inner.scratchBytes(op, inputs, outputs);
  }

  @Override
  public void run(Op op, Tensor[] inputs, Tensor[] outputs, Buffer scratch) {
    inner.run(op, inputs, outputs, scratch);
  }

  @Override
  public void upload(MemorySegment source, Buffer target, long targetByteOffset) {
    inner.upload(source, target, targetByteOffset);
  }

  @Override
  public void download(Buffer source, long sourceByteOffset, MemorySegment target) {
    inner.download(source, sourceByteOffset, target);
  }

  @Override
  public void synchronize() {
    inner.synchronize();
  }
}
