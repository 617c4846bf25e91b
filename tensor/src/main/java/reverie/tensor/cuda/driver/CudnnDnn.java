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

/** cuDNN through JCudnn: its convolutions, each prepared once. */
final class CudnnDnn implements Dnn {
  private record Task(Problem problem, Direction direction) {}

  private final JcudaDriver driver;
  private final cudnnHandle handle = new cudnnHandle();
  private final Map<Task, CudnnConvolution> prepared = new HashMap<>();

  CudnnDnn(JcudaDriver driver) {
    this.driver = driver;
    driver.makeCurrent();
    check(cudnnCreate(handle), "initialisation");
    try {
      check(cudnnSetStream(handle, new cudaStream_t(driver.stream())), "setting the stream");
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
    cudnnDestroy(handle);
  }

  /** Throws if a call of cuDNN's went wrong. */
  static void check(int result, String what) {
    if (result != CUDNN_STATUS_SUCCESS) {
      throw Failure.library("cuDNN", what, cudnnGetErrorString(result));
    }
  }
}
