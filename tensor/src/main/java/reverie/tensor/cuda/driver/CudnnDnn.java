// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static jcuda.jcudnn.JCudnn.cudnnCreate;
import static jcuda.jcudnn.JCudnn.cudnnDestroy;
import static jcuda.jcudnn.JCudnn.cudnnGetErrorString;
import static jcuda.jcudnn.JCudnn.cudnnGetVersion;
import static jcuda.jcudnn.JCudnn.cudnnSetStream;
import static jcuda.jcudnn.cudnnStatus.CUDNN_STATUS_SUCCESS;

import java.util.HashMap;
import java.util.Map;
import jcuda.jcudnn.cudnnHandle;
import jcuda.runtime.cudaStream_t;

/** cuDNN: its convolutions, through JCudnn, and its graphs, each prepared once. */
final class CudnnDnn implements Dnn {
  private static final String NO_GRAPHS = "no graphs in this cuDNN";

  private record Task(Problem problem, Direction direction) {}

  private final JcudaDriver driver;
  private final Handle handle = new Handle();
  private final Map<Task, CudnnConvolution> prepared = new HashMap<>();
  private final Map<Layer, CudnnLayer> layers = new HashMap<>();
  private final Map<Attention, CudnnAttention> attentions = new HashMap<>();
  private final boolean attends;

  /** Null where cuDNN has no graphs. */
  private CudnnBackend graphs;

  /** A handle whose address functions without JCuda get. */
  private static final class Handle extends cudnnHandle {
    long address() {
      return getNativePointer();
    }
  }

  /**
   * For work on a driver's stream.
   *
   * @param attends whether attention is computed
   */
  CudnnDnn(JcudaDriver driver, boolean attends) {
    this.driver = driver;
    this.attends = attends;
    driver.makeCurrent();
    check(cudnnCreate(handle), "initialisation");
    try {
      check(cudnnSetStream(handle, new cudaStream_t(driver.stream())), "setting the stream");
      graphs = CudnnBackend.isThere() ? new CudnnBackend(handle.address()) : null;
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  @Override
  public synchronized boolean supports(Problem problem, Direction direction) {
    driver.makeCurrent();
    return convolution(problem, direction).isThere();
  }

  @Override
  public synchronized String algorithm(Problem problem, Direction direction) {
    driver.makeCurrent();
    return convolution(problem, direction).algorithm();
  }

  @Override
  public synchronized long workspaceBytes(Problem problem, Direction direction) {
    driver.makeCurrent();
    return convolution(problem, direction).workspaceBytes();
  }

  @Override
  public synchronized void run(
      Problem problem, Direction direction, long first, long second, long result, long workspace) {
    driver.makeCurrent();
    convolution(problem, direction).run(first, second, result, workspace);
  }

  @Override
  public synchronized boolean supports(Layer layer) {
    driver.makeCurrent();
    return graphs != null && layer(layer).graph().isThere();
  }

  @Override
  public synchronized String algorithm(Layer layer) {
    driver.makeCurrent();
    return graphs == null ? NO_GRAPHS : layer(layer).graph().algorithm();
  }

  @Override
  public synchronized long workspaceBytes(Layer layer) {
    driver.makeCurrent();
    return layer(layer).graph().workspaceBytes();
  }

  @Override
  public synchronized void run(Layer layer, Operands operands) {
    driver.makeCurrent();
    layer(layer).run(operands);
  }

  private CudnnLayer layer(Layer layer) {
    return layers.computeIfAbsent(layer, _ -> new CudnnLayer(graphs, layer));
  }

  @Override
  public synchronized boolean supports(Attention attention) {
    driver.makeCurrent();
    return isAskedFor(attention) && attention(attention).graph().isThere();
  }

  private boolean isAskedFor(Attention attention) {
    int capability = driver.properties().capability();
    return attends
        && graphs != null
        && CudnnAttention.fits(attention, cudnnGetVersion(), capability);
  }

  @Override
  public synchronized String algorithm(Attention attention) {
    driver.makeCurrent();
    if (isAskedFor(attention)) {
      return attention(attention).graph().algorithm();
    }
    if (!attends) {
      return "not switched on";
    }
    return graphs == null ? NO_GRAPHS : "not asked for: size, version or device";
  }

  @Override
  public synchronized long workspaceBytes(Attention attention) {
    driver.makeCurrent();
    return attention(attention).workspaceBytes();
  }

  @Override
  public synchronized void run(Attention attention, Attended addresses) {
    driver.makeCurrent();
    attention(attention).run(addresses);
  }

  private CudnnAttention attention(Attention attention) {
    return attentions.computeIfAbsent(attention, _ -> new CudnnAttention(graphs, attention));
  }

  private CudnnConvolution convolution(Problem problem, Direction direction) {
    return prepared.computeIfAbsent(
        new Task(problem, direction), task -> new CudnnConvolution(handle, problem, direction));
  }

  @Override
  public String describe() {
    String version = "cuDNN " + CudaLibrary.cudnnVersion(cudnnGetVersion());
    return attends ? version + " with attention" : version;
  }

  @Override
  public void close() {
    driver.makeCurrent();
    prepared.values().forEach(CudnnConvolution::close);
    if (graphs != null) {
      graphs.close();
    }
    cudnnDestroy(handle);
  }

  /** Throws if a call of cuDNN's went wrong. */
  static void check(int result, String what) {
    if (result != CUDNN_STATUS_SUCCESS) {
      throw Failure.library("cuDNN", what, cudnnGetErrorString(result));
    }
  }
}
