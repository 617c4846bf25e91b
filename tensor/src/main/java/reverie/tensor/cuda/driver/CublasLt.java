// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static jcuda.cudaDataType.CUDA_R_16BF;
import static jcuda.cudaDataType.CUDA_R_32F;
import static jcuda.jcublas.cublasComputeType.CUBLAS_COMPUTE_32F;
import static jcuda.jcublas.cublasStatus.CUBLAS_STATUS_SUCCESS;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import reverie.tensor.cuda.driver.Symbols.Function;

/**
 * cublasLt, by its C functions: products that add a bias and a residual or sum columns on the way.
 * The algorithm for a product comes from its heuristics, once, among those that sum in float32 in
 * an order that does not change.
 */
final class CublasLt implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(CublasLt.class.getName());

  // Signatures, layouts and numbers of cublasLt.h, CUDA 12 and 13; objects are addresses.
  private static final int DESC_TRANSA = 3;
  private static final int DESC_TRANSB = 4;
  private static final int DESC_EPILOGUE = 7;
  private static final int DESC_BIAS_POINTER = 8;
  private static final int EPILOGUE_BIAS = 4;
  private static final int EPILOGUE_BGRADB = 512;
  private static final int PREF_MAX_WORKSPACE_BYTES = 1;
  private static final int PREF_REDUCTION_SCHEME_MASK = 3;
  private static final List<Integer> PREF_MIN_ALIGNMENT_BYTES = List.of(5, 6, 7, 8);
  private static final int REDUCTION_SCHEME_COMPUTE_TYPE = 2;

  /** Of cublasLtMatmulHeuristicResult_t: the algorithm, size_t bytes, int status and 20 bytes. */
  private static final long ALGORITHM = 64;

  private static final long RESULT = 96;
  private static final int RESULTS = 8;

  private static final int ALIGNMENT = 16;

  private final Function setDesc =
      Function.of("cublasLtMatmulDescSetAttribute", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
  private final Function setPreference =
      Function.of("cublasLtMatmulPreferenceSetAttribute", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
  private final Function createDesc =
      Function.of("cublasLtMatmulDescCreate", ADDRESS, JAVA_INT, JAVA_INT);
  private final Function createLayout =
      Function.of("cublasLtMatrixLayoutCreate", ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG);
  private final Function destroyDesc = Function.of("cublasLtMatmulDescDestroy", JAVA_LONG);
  private final Function destroyLayout = Function.of("cublasLtMatrixLayoutDestroy", JAVA_LONG);
  private final Function heuristic =
      Function.of(
          "cublasLtMatmulAlgoGetHeuristic",
          JAVA_LONG, // handle
          JAVA_LONG, // desc
          JAVA_LONG, // a
          JAVA_LONG, // b
          JAVA_LONG, // c
          JAVA_LONG, // d
          JAVA_LONG, // preference
          JAVA_INT,
          ADDRESS,
          ADDRESS);
  private final Function matmul =
      Function.of(
          "cublasLtMatmul",
          JAVA_LONG, // handle
          JAVA_LONG, // desc
          ADDRESS, // alpha
          JAVA_LONG, // a
          JAVA_LONG,
          JAVA_LONG, // b
          JAVA_LONG,
          ADDRESS, // beta
          JAVA_LONG, // c
          JAVA_LONG,
          JAVA_LONG, // d
          JAVA_LONG,
          ADDRESS, // algorithm
          JAVA_LONG, // workspace
          JAVA_LONG,
          JAVA_LONG); // stream

  private final Arena arena = Arena.ofShared();
  private final MemorySegment one = arena.allocateFrom(JAVA_FLOAT, 1);
  private final MemorySegment zero = arena.allocateFrom(JAVA_FLOAT, 0);
  private final MemorySegment cell = arena.allocate(JAVA_LONG);
  private final Map<Blas.Product, Plan> plans = new HashMap<>();
  private final long workspace;
  private final long workspaceBytes;
  private final long stream;
  private long handle;
  private long preference;

  /**
   * How a product is computed.
   *
   * @param algorithm null if there is none
   */
  private record Plan(long desc, long a, long b, long c, MemorySegment algorithm) {}

  private CublasLt(long workspace, long workspaceBytes, long stream) {
    this.workspace = workspace;
    this.workspaceBytes = workspaceBytes;
    this.stream = stream;
  }

  /**
   * cublasLt for work on a stream, in the current context; null where it is missing.
   *
   * @param workspace memory that nothing but work on this stream uses
   */
  static CublasLt open(long workspace, long workspaceBytes, long stream) {
    if (!Symbols.has("cublasLtMatmul")) {
      return null;
    }
    CublasLt made = new CublasLt(workspace, workspaceBytes, stream);
    if (made.isCreated()) {
      return made;
    }
    made.close();
    return null;
  }

  private boolean isCreated() {
    handle = created(Function.of("cublasLtCreate", ADDRESS).call(cell));
    preference = created(Function.of("cublasLtMatmulPreferenceCreate", ADDRESS).call(cell));
    boolean set = set(setPreference, preference, PREF_MAX_WORKSPACE_BYTES, workspaceBytes);
    set &=
        set(setPreference, preference, PREF_REDUCTION_SCHEME_MASK, REDUCTION_SCHEME_COMPUTE_TYPE);
    for (int operand : PREF_MIN_ALIGNMENT_BYTES) {
      set &= set(setPreference, preference, operand, ALIGNMENT);
    }
    return handle != 0 && preference != 0 && set;
  }

  /** What a call put into the cell; 0 if it failed. */
  private long created(int status) {
    return status == CUBLAS_STATUS_SUCCESS ? cell.get(JAVA_LONG, 0) : 0;
  }

  private boolean set(Function function, long object, int attribute, int value) {
    cell.set(JAVA_INT, 0, value);
    return object != 0
        && function.call(object, attribute, cell, JAVA_INT.byteSize()) == CUBLAS_STATUS_SUCCESS;
  }

  private boolean set(Function function, long object, int attribute, long value) {
    cell.set(JAVA_LONG, 0, value);
    return object != 0
        && function.call(object, attribute, cell, JAVA_LONG.byteSize()) == CUBLAS_STATUS_SUCCESS;
  }

  /** Whether there is an algorithm for a product. */
  boolean does(Blas.Product product) {
    return plan(product).algorithm != null;
  }

  /**
   * Computes a product that can be.
   *
   * @return cuBLAS's status
   */
  int multiply(Blas.Product product, Blas.Operands operands) {
    Plan plan = plan(product);
    boolean adds = operands.residual() != 0;
    set(setDesc, plan.desc, DESC_BIAS_POINTER, operands.vector());
    return matmul.call(
        handle,
        plan.desc,
        one,
        operands.a(),
        plan.a,
        operands.b(),
        plan.b,
        adds ? one : zero,
        adds ? operands.residual() : operands.c(),
        plan.c,
        operands.c(),
        plan.c,
        plan.algorithm,
        workspace,
        workspaceBytes,
        stream);
  }

  private Plan plan(Blas.Product product) {
    return plans.computeIfAbsent(product, this::prepare);
  }

  private Plan prepare(Blas.Product p) {
    int sums = p.half() ? CUBLAS_COMPUTE_32F : CublasBlas.sums(p.precision());
    long desc = created(createDesc.call(cell, sums, CUDA_R_32F));
    long a = layout(p.half(), p.transposedA(), p.m(), p.k());
    long b = layout(p.half(), p.transposedB(), p.k(), p.n());
    long c = layout(false, false, p.m(), p.n());
    int epilogue =
        switch (p.extra()) {
          case BIAS -> EPILOGUE_BIAS;
          case SUMS -> EPILOGUE_BGRADB;
        };
    boolean set =
        a != 0
            && b != 0
            && c != 0
            && set(setDesc, desc, DESC_TRANSA, p.transposedA() ? 1 : 0)
            && set(setDesc, desc, DESC_TRANSB, p.transposedB() ? 1 : 0)
            && set(setDesc, desc, DESC_EPILOGUE, epilogue)
            // The heuristics look at the alignment of this address alone.
            && set(setDesc, desc, DESC_BIAS_POINTER, workspace + ALIGNMENT);
    MemorySegment algorithm = set ? algorithm(desc, a, b, c) : null;
    if (algorithm == null) {
      LOG.log(System.Logger.Level.INFO, "cuda device: cublasLt has no algorithm for {0}", p);
    }
    return new Plan(desc, a, b, c, algorithm);
  }

  private long layout(boolean half, boolean transposed, long rows, long columns) {
    long height = transposed ? columns : rows;
    long width = transposed ? rows : columns;
    return created(createLayout.call(cell, half ? CUDA_R_16BF : CUDA_R_32F, height, width, height));
  }

  /** The fastest by the heuristics that fits; null if there is none. */
  private MemorySegment algorithm(long desc, long a, long b, long c) {
    MemorySegment results = arena.allocate(RESULTS * RESULT, Long.BYTES);
    int status = heuristic.call(handle, desc, a, b, c, c, preference, RESULTS, results, cell);
    int count = status == CUBLAS_STATUS_SUCCESS ? cell.get(JAVA_INT, 0) : 0;
    for (long at = 0; at < count * RESULT; at += RESULT) {
      long bytes = results.get(JAVA_LONG, at + ALGORITHM);
      int state = results.get(JAVA_INT, at + ALGORITHM + Long.BYTES);
      if (state == CUBLAS_STATUS_SUCCESS && bytes <= workspaceBytes) {
        return results.asSlice(at, ALGORITHM);
      }
    }
    return null;
  }

  @Override
  public void close() {
    for (Plan plan : plans.values()) {
      for (long layout : new long[] {plan.a, plan.b, plan.c}) {
        destroyLayout.call(layout);
      }
      destroyDesc.call(plan.desc);
    }
    if (preference != 0) {
      Function.of("cublasLtMatmulPreferenceDestroy", JAVA_LONG).call(preference);
    }
    if (handle != 0) {
      Function.of("cublasLtDestroy", JAVA_LONG).call(handle);
    }
    arena.close();
  }
}
