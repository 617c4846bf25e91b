// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import java.lang.foreign.MemorySegment;
import reverie.tensor.DType;
import reverie.tensor.Tensor;
import reverie.tensor.op.Op;
import reverie.tensor.spi.Backend;
import reverie.tensor.spi.Buffer;

/** Being written; replaced by the vectorised backend. */
public final class CpuBackend implements Backend {
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
    throw new UnsupportedOperationException();
  }

  @Override
  public void release(Buffer buffer) {}

  @Override
  public long liveBytes() {
    return 0;
  }

  @Override
  public boolean supports(Op op, Tensor[] inputs) {
    return false;
  }

  @Override
  public boolean acceptsStrides(Op op, int input) {
    return false;
  }

  @Override
  public long scratchBytes(Op op, Tensor[] inputs, Tensor[] outputs) {
    return 0;
  }

  @Override
  public void run(Op op, Tensor[] inputs, Tensor[] outputs, Buffer scratch) {}

  @Override
  public void upload(MemorySegment source, Buffer target, long targetByteOffset) {}

  @Override
  public void download(Buffer source, long sourceByteOffset, MemorySegment target) {}

  @Override
  public void synchronize() {}
}
