// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static jcuda.jcudnn.JCudnn.*;
import static jcuda.jcudnn.cudnnConvolutionBwdDataAlgo.CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
import static jcuda.jcudnn.cudnnConvolutionBwdFilterAlgo.CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
import static jcuda.jcudnn.cudnnConvolutionFwdAlgo.CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM;
import static jcuda.jcudnn.cudnnConvolutionFwdAlgo.CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
import static jcuda.jcudnn.cudnnConvolutionMode.CUDNN_CROSS_CORRELATION;
import static jcuda.jcudnn.cudnnDataType.CUDNN_DATA_BFLOAT16;
import static jcuda.jcudnn.cudnnDataType.CUDNN_DATA_FLOAT;
import static jcuda.jcudnn.cudnnDeterminism.CUDNN_DETERMINISTIC;
import static jcuda.jcudnn.cudnnMathType.CUDNN_FMA_MATH;
import static jcuda.jcudnn.cudnnMathType.CUDNN_TENSOR_OP_MATH;
import static jcuda.jcudnn.cudnnStatus.CUDNN_STATUS_SUCCESS;
import static jcuda.jcudnn.cudnnTensorFormat.CUDNN_TENSOR_NHWC;
import static reverie.tensor.cuda.driver.CudnnDnn.check;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.IntFunction;
import java.util.function.IntSupplier;
import java.util.function.Supplier;
import java.util.stream.Stream;
import jcuda.Pointer;
import jcuda.jcudnn.cudnnConvolutionBwdDataAlgoPerf;
import jcuda.jcudnn.cudnnConvolutionBwdFilterAlgoPerf;
import jcuda.jcudnn.cudnnConvolutionDescriptor;
import jcuda.jcudnn.cudnnConvolutionFwdAlgoPerf;
import jcuda.jcudnn.cudnnFilterDescriptor;
import jcuda.jcudnn.cudnnHandle;
import jcuda.jcudnn.cudnnTensorDescriptor;

/**
 * One convolution of cuDNN's in one direction, if cuDNN has it. The algorithm comes from cuDNN's
 * heuristics, or else from a list, not from measurements, which would choose differently from run
 * to run.
 */
final class CudnnConvolution implements AutoCloseable {
  /** An algorithm that wants more working memory than this is not worth it. */
  private static final long MAX_WORKSPACE = 1L << 30;

  private static final Pointer ONE = Pointer.to(new float[] {1});
  private static final Pointer ZERO = Pointer.to(new float[] {0});

  /** What cuDNN suggests; JCudnn leaves out the precision, so that is always the one asked for. */
  private record Algorithm(int number, int status, int determinism) {
    boolean isFit() {
      return status == CUDNN_STATUS_SUCCESS && determinism == CUDNN_DETERMINISTIC;
    }
  }

  private final cudnnHandle handle;
  private final Dnn.Problem problem;
  private final Dnn.Direction direction;
  private final cudnnTensorDescriptor x = new cudnnTensorDescriptor();
  private final cudnnFilterDescriptor w = new cudnnFilterDescriptor();
  private final cudnnTensorDescriptor y = new cudnnTensorDescriptor();
  private final cudnnConvolutionDescriptor convolution = new cudnnConvolutionDescriptor();
  private int algorithm;
  private long workspace;
  private String origin;

  CudnnConvolution(cudnnHandle handle, Dnn.Problem problem, Dnn.Direction direction) {
    this.handle = handle;
    this.problem = problem;
    this.direction = direction;
    check(cudnnCreateTensorDescriptor(x), "describing images");
    check(cudnnCreateFilterDescriptor(w), "describing weights");
    check(cudnnCreateTensorDescriptor(y), "describing results");
    check(cudnnCreateConvolutionDescriptor(convolution), "describing a convolution");
    try {
      describe();
      choose();
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  private void describe() {
    int type = problem.precision() == Precision.BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    int in = problem.channels();
    int out = problem.outputs();
    int kh = problem.kernelHeight();
    int kw = problem.kernelWidth();
    int stride = problem.stride();
    int padding = problem.padding();
    int height = (problem.height() + 2 * padding - kh) / stride + 1;
    int width = (problem.width() + 2 * padding - kw) / stride + 1;
    int n = problem.n();
    check(
        cudnnSetTensor4dDescriptor(
            x, CUDNN_TENSOR_NHWC, type, n, in, problem.height(), problem.width()),
        "describing images");
    check(
        cudnnSetFilter4dDescriptor(w, type, CUDNN_TENSOR_NHWC, out, in, kh, kw),
        "describing weights");
    check(
        cudnnSetTensor4dDescriptor(y, CUDNN_TENSOR_NHWC, type, n, out, height, width),
        "describing results");
    check(
        cudnnSetConvolution2dDescriptor(
            convolution,
            padding,
            padding,
            stride,
            stride,
            1,
            1,
            CUDNN_CROSS_CORRELATION,
            CUDNN_DATA_FLOAT),
        "describing a convolution");
  }

  /**
   * cuDNN's first choice among those that give the same bits every time and fit, with tensor cores
   * if the precision allows them. Where its heuristics offer none, those known to do so are tried.
   */
  private void choose() {
    int[] maths =
        switch (problem.precision()) {
          case FLOAT32 -> new int[] {CUDNN_FMA_MATH};
          case TF32 -> new int[] {CUDNN_TENSOR_OP_MATH, CUDNN_FMA_MATH};
          case BF16 -> new int[] {CUDNN_TENSOR_OP_MATH};
        };
    for (int math : maths) {
      check(cudnnSetConvolutionMathType(convolution, math), "setting the precision");
      String units = math == CUDNN_FMA_MATH ? "without tensor cores" : "by tensor cores";
      for (Algorithm suggestion : suggested()) {
        if (suggestion.isFit() && take(suggestion.number(), "cuDNN's heuristics, " + units)) {
          return;
        }
      }
      for (int known : deterministic()) {
        if (take(known, "fixed list, " + units)) {
          return;
        }
      }
    }
  }

  private boolean take(int number, String how) {
    long bytes = workspaceBytes(number);
    if (bytes > MAX_WORKSPACE) {
      return false;
    }
    algorithm = number;
    workspace = bytes;
    origin = how;
    return true;
  }

  /** Algorithms that are documented to give the same bits every time. */
  private int[] deterministic() {
    return switch (direction) {
      case FORWARD ->
          new int[] {
            CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
            CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM
          };
      case INPUT_GRADIENT -> new int[] {CUDNN_CONVOLUTION_BWD_DATA_ALGO_1};
      case WEIGHT_GRADIENT -> new int[] {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1};
    };
  }

  boolean isThere() {
    return origin != null;
  }

  /** For people: which algorithm this is. */
  String algorithm() {
    return isThere()
        ? String.format(
            Locale.ROOT, "algorithm %d (%s), %.1f MB", algorithm, origin, workspace / 1e6)
        : "no algorithm with the same bits every time";
  }

  /** What an algorithm needs; more than there can be if it cannot be used after all. */
  private long workspaceBytes(int number) {
    long[] bytes = new long[1];
    int status =
        switch (direction) {
          case FORWARD ->
              cudnnGetConvolutionForwardWorkspaceSize(handle, x, w, convolution, y, number, bytes);
          case INPUT_GRADIENT ->
              cudnnGetConvolutionBackwardDataWorkspaceSize(
                  handle, w, y, convolution, x, number, bytes);
          case WEIGHT_GRADIENT ->
              cudnnGetConvolutionBackwardFilterWorkspaceSize(
                  handle, x, y, convolution, w, number, bytes);
        };
    return status == CUDNN_STATUS_SUCCESS ? bytes[0] : Long.MAX_VALUE;
  }

  private List<Algorithm> suggested() {
    int[] count = new int[1];
    return switch (direction) {
      case FORWARD -> {
        check(cudnnGetConvolutionForwardAlgorithmMaxCount(handle, count), "counting algorithms");
        var found =
            filled(count[0], cudnnConvolutionFwdAlgoPerf[]::new, cudnnConvolutionFwdAlgoPerf::new);
        count[0] =
            offered(
                count,
                () ->
                    cudnnGetConvolutionForwardAlgorithm_v7(
                        handle, x, w, convolution, y, found.length, count, found));
        yield Stream.of(found)
            .limit(count[0])
            .map(a -> new Algorithm(a.algo, a.status, a.determinism))
            .toList();
      }
      case INPUT_GRADIENT -> {
        check(
            cudnnGetConvolutionBackwardDataAlgorithmMaxCount(handle, count), "counting algorithms");
        var found =
            filled(
                count[0],
                cudnnConvolutionBwdDataAlgoPerf[]::new,
                cudnnConvolutionBwdDataAlgoPerf::new);
        count[0] =
            offered(
                count,
                () ->
                    cudnnGetConvolutionBackwardDataAlgorithm_v7(
                        handle, w, y, convolution, x, found.length, count, found));
        yield Stream.of(found)
            .limit(count[0])
            .map(a -> new Algorithm(a.algo, a.status, a.determinism))
            .toList();
      }
      case WEIGHT_GRADIENT -> {
        check(
            cudnnGetConvolutionBackwardFilterAlgorithmMaxCount(handle, count),
            "counting algorithms");
        var found =
            filled(
                count[0],
                cudnnConvolutionBwdFilterAlgoPerf[]::new,
                cudnnConvolutionBwdFilterAlgoPerf::new);
        count[0] =
            offered(
                count,
                () ->
                    cudnnGetConvolutionBackwardFilterAlgorithm_v7(
                        handle, x, y, convolution, w, found.length, count, found));
        yield Stream.of(found)
            .limit(count[0])
            .map(a -> new Algorithm(a.algo, a.status, a.determinism))
            .toList();
      }
    };
  }

  /**
   * How many algorithms a call that counts them found: cuDNN answers that it supports nothing by an
   * error, with a count that was never set, on which JCudnn may stumble.
   */
  private static int offered(int[] count, IntSupplier call) {
    try {
      return call.getAsInt() == CUDNN_STATUS_SUCCESS ? count[0] : 0;
    } catch (ArrayIndexOutOfBoundsException unset) {
      return 0;
    }
  }

  private static <T> T[] filled(int size, IntFunction<T[]> array, Supplier<T> element) {
    T[] filled = array.apply(size);
    Arrays.setAll(filled, _ -> element.get());
    return filled;
  }

  long workspaceBytes() {
    return workspace;
  }

  void run(long first, long second, long result, long memory) {
    Pointer a = new Address(first);
    Pointer b = new Address(second);
    Pointer c = new Address(result);
    Pointer space = new Address(memory);
    int status =
        switch (direction) {
          case FORWARD ->
              cudnnConvolutionForward(
                  handle, ONE, x, a, w, b, convolution, algorithm, space, workspace, ZERO, y, c);
          case INPUT_GRADIENT ->
              cudnnConvolutionBackwardData(
                  handle, ONE, w, b, y, a, convolution, algorithm, space, workspace, ZERO, x, c);
          case WEIGHT_GRADIENT ->
              cudnnConvolutionBackwardFilter(
                  handle, ONE, x, a, y, b, convolution, algorithm, space, workspace, ZERO, w, c);
        };
    if (status != CUDNN_STATUS_SUCCESS) {
      check(status, direction + " of " + problem);
    }
  }

  @Override
  public void close() {
    cudnnDestroyTensorDescriptor(x);
    cudnnDestroyFilterDescriptor(w);
    cudnnDestroyTensorDescriptor(y);
    cudnnDestroyConvolutionDescriptor(convolution);
  }
}
