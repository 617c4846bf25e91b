// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static jcuda.cudaDataType.CUDA_R_16BF;
import static jcuda.cudaDataType.CUDA_R_32F;
import static jcuda.jcublas.JCublas2.*;
import static jcuda.jcublas.cublasAtomicsMode.CUBLAS_ATOMICS_NOT_ALLOWED;
import static jcuda.jcublas.cublasComputeType.CUBLAS_COMPUTE_32F;
import static jcuda.jcublas.cublasComputeType.CUBLAS_COMPUTE_32F_FAST_16BF;
import static jcuda.jcublas.cublasComputeType.CUBLAS_COMPUTE_32F_FAST_TF32;
import static jcuda.jcublas.cublasGemmAlgo.CUBLAS_GEMM_DEFAULT;
import static jcuda.jcublas.cublasMath.CUBLAS_DEFAULT_MATH;
import static jcuda.jcublas.cublasMath.CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
import static jcuda.jcublas.cublasOperation.CUBLAS_OP_N;
import static jcuda.jcublas.cublasOperation.CUBLAS_OP_T;
import static jcuda.jcublas.cublasStatus.CUBLAS_STATUS_SUCCESS;

import java.util.Locale;
import jcuda.Pointer;
import jcuda.jcublas.cublasHandle;
import jcuda.runtime.cudaStream_t;
import reverie.tensor.ReverieException;

/**
 * cuBLAS through JCublas. It gives the same bits every time because all its work is on one stream,
 * in working memory of its own that never moves; so graphs may hold it, too. Products that do more
 * are cublasLt's, in the same memory.
 */
final class CublasBlas implements Blas {
  /** What cuBLAS recommends for the newest devices. */
  private static final long WORKSPACE = 32L << 20;

  private static final Pointer ONE = Pointer.to(new float[] {1});
  private static final Pointer ZERO = Pointer.to(new float[] {0});

  private final JcudaDriver driver;
  private final cublasHandle handle = new cublasHandle();
  private long workspace;

  /** Null where cublasLt is missing. */
  private CublasLt fusing;

  CublasBlas(JcudaDriver driver) {
    this.driver = driver;
    driver.makeCurrent();
    check(cublasCreate(handle), "initialisation");
    try {
      check(cublasSetStream(handle, new cudaStream_t(driver.stream())), "setting the stream");
      check(
          cublasSetMathMode(
              handle, CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION),
          "setting the kind of sums");
      check(cublasSetAtomicsMode(handle, CUBLAS_ATOMICS_NOT_ALLOWED), "forbidding atomics");
      workspace = driver.allocate(WORKSPACE);
      if (workspace == 0) {
        throw new ReverieException(
            "cuda device: no " + (WORKSPACE >> 20) + " MiB left for cuBLAS",
            "end what else uses the device (nvidia-smi lists it)");
      }
      check(
          cublasSetWorkspace(handle, new Address(workspace), WORKSPACE),
          "setting the working memory");
      fusing = CublasLt.open(workspace, WORKSPACE, driver.stream().address());
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  @Override
  public synchronized void multiply(
      Matrix a, Matrix b, Matrix c, int m, int n, int k, int batch, Precision precision) {
    driver.makeCurrent();
    // The method without "_new" takes the types of sums of cuBLAS 10.
    int result =
        cublasGemmStridedBatchedEx_new(
            handle,
            a.transposed() ? CUBLAS_OP_T : CUBLAS_OP_N,
            b.transposed() ? CUBLAS_OP_T : CUBLAS_OP_N,
            m,
            n,
            k,
            ONE,
            new Address(a.address()),
            type(a),
            a.leading(),
            a.stride(),
            new Address(b.address()),
            type(b),
            b.leading(),
            b.stride(),
            ZERO,
            new Address(c.address()),
            type(c),
            c.leading(),
            c.stride(),
            batch,
            a.half() ? CUBLAS_COMPUTE_32F : sums(precision),
            CUBLAS_GEMM_DEFAULT);
    if (result != CUBLAS_STATUS_SUCCESS) {
      check(
          result,
          String.format(Locale.ROOT, "a product of %d×%d by %d×%d, %d times", m, k, k, n, batch));
    }
  }

  @Override
  public synchronized boolean does(Product product) {
    driver.makeCurrent();
    return fusing != null && fusing.does(product);
  }

  @Override
  public synchronized void multiply(Product product, Operands operands) {
    driver.makeCurrent();
    check(fusing.multiply(product, operands), product.toString());
  }

  private static int type(Matrix matrix) {
    return matrix.half() ? CUDA_R_16BF : CUDA_R_32F;
  }

  static int sums(Precision precision) {
    return switch (precision) {
      case FLOAT32 -> CUBLAS_COMPUTE_32F;
      case TF32 -> CUBLAS_COMPUTE_32F_FAST_TF32;
      case BF16 -> CUBLAS_COMPUTE_32F_FAST_16BF;
    };
  }

  @Override
  public String describe() {
    int[] part = new int[1];
    StringBuilder version = new StringBuilder("cuBLAS ");
    for (int i = 0; i < 3; i++) {
      check(cublasGetProperty(i, part), "asking for the version");
      version.append(i == 0 ? "" : ".").append(part[0]);
    }
    return version.append(fusing == null ? " without cublasLt" : " with cublasLt").toString();
  }

  @Override
  public void close() {
    driver.makeCurrent();
    if (fusing != null) {
      fusing.close();
    }
    cublasDestroy(handle);
    if (workspace != 0) {
      driver.free(workspace);
    }
  }

  private static void check(int result, String what) {
    if (result != CUBLAS_STATUS_SUCCESS) {
      throw Failure.library("cuBLAS", what, cublasGetStatusName(result));
    }
  }
}
