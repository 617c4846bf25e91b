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
  private record Task(Problem problem, Direction direction) {}

  private final JcudaDriver driver;
  private final Handle handle = new Handle();
  private final Map<Task, CudnnConvolution> prepared = new HashMap<>();
  private final Map<Layer, CudnnLayer> layers = new HashMap<>();

  /** Null where cuDNN has no graphs. */
  private CudnnBackend graphs;

  /** A handle whose address functions without JCuda get. */
  private static final class Handle extends cudnnHandle {
    long address() {
      return getNativePointer();
    }
  }

  CudnnDnn(JcudaDriver driver) {
    this.driver = driver;
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
    return graphs != null && graph(layer).isThere();
  }

  @Override
  public synchronized String algorithm(Layer layer) {
    driver.makeCurrent();
    return graphs == null ? "no graphs in this cuDNN" : graph(layer).algorithm();
  }

  @Override
  public synchronized long workspaceBytes(Layer layer) {
    driver.makeCurrent();
    return graph(layer).workspaceBytes();
  }

  @Override
  public synchronized void run(Layer layer, Operands operands) {
    driver.makeCurrent();
    graph(layer).run(operands);
  }

  private CudnnLayer graph(Layer layer) {
    return layers.computeIfAbsent(layer, _ -> new CudnnLayer(graphs, layer));
  }

  private CudnnConvolution convolution(Problem problem, Direction direction) {
    return prepared.computeIfAbsent(
        new Task(problem, direction), task -> new CudnnConvolution(handle, problem, direction));
  }

  @Override
  public String describe() {
    return "cuDNN " + CudaLibrary.cudnnVersion(cudnnGetVersion());
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
