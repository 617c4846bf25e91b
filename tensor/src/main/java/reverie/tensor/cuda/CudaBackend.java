// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import reverie.tensor.DType;
import reverie.tensor.Storage;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Blas;
import reverie.tensor.cuda.driver.Dnn;
import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.cuda.driver.Pool;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.cuda.kernels.Operations;
import reverie.tensor.op.Op;
import reverie.tensor.spi.Backend;
import reverie.tensor.spi.Buffer;
import reverie.tensor.spi.Call;
import reverie.tensor.spi.Replay;
import reverie.tensor.spi.Step;

/**
 * A graphics processor: float32 tensors, products in a {@link Precision}, the same bits every time.
 * Operations are carried out in order on one stream, and wait only where values are read. Threads
 * take turns, so that none gets into what another captures.
 */
public final class CudaBackend implements Backend, AutoCloseable {
  /** That of the device's own memory. */
  private static final int ALIGNMENT = 256;

  private final Driver driver;
  private final Blas blas;
  private final Dnn dnn;
  private final Precision precision;
  private final Pool pool;
  private final Operations operations;

  /** Works through these, which it closes with itself. */
  public CudaBackend(Driver driver, Blas blas, Dnn dnn, Precision precision) {
    this.driver = driver;
    this.blas = blas;
    this.dnn = dnn;
    this.precision = precision;
    pool = new Pool(driver, this);
    operations = new Operations(driver, blas, dnn, pool, precision);
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

  /** For people: how each convolution that was asked for is computed. */
  public List<String> convolutions() {
    return operations.convolutions();
  }

  /** For people: how cuDNN computes each attention that it was asked for. */
  public List<String> attentions() {
    return operations.attentions();
  }

  @Override
  public int alignment() {
    return ALIGNMENT;
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
    return operations.supports(op, inputs);
  }

  /** Half of the device's memory. */
  @Override
  public long rematerializeAboveBytes() {
    return driver.properties().bytes() / 2;
  }

  @Override
  public long scratchBytes(Op op, Tensor[] inputs, Tensor[] outputs) {
    return operations.scratchBytes(op, inputs, outputs);
  }

  @Override
  public synchronized void run(Op op, Tensor[] inputs, Tensor[] outputs, Buffer scratch) {
    operations.run(op, inputs, outputs, scratch);
  }

  @Override
  public List<Step> arrange(List<Step> steps, Set<Storage> kept) {
    return operations.arrange(steps, kept);
  }

  @Override
  public synchronized Replay prepare(List<Call> calls) {
    return new Graph(driver, this, operations.program(calls));
  }

  @Override
  public synchronized void upload(MemorySegment source, Buffer target, long targetByteOffset) {
    long to = ((Pool.Block) target).address() + targetByteOffset;
    driver.upload(source, to);
    operations.written(to, to + source.byteSize());
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
}
