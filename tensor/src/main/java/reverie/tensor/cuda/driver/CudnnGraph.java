// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static jcuda.jcudnn.cudnnDataType.CUDNN_DATA_FLOAT;
import static reverie.tensor.cuda.driver.CudnnBackend.NOTE_DOWN_CONVERT_INPUTS;
import static reverie.tensor.cuda.driver.CudnnBackend.NOTE_NONDETERMINISTIC;
import static reverie.tensor.cuda.driver.CudnnBackend.NOTE_REDUCED_PRECISION_REDUCTION;

import java.util.Collection;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import reverie.tensor.cuda.driver.CudnnBackend.Attribute;
import reverie.tensor.cuda.driver.CudnnBackend.Plan;
import reverie.tensor.cuda.driver.CudnnBackend.Refused;

/**
 * Operations that cuDNN computes at once, if it has an engine for them that gives the same bits
 * every time. The engine comes from cuDNN's heuristics, once.
 */
final class CudnnGraph {
  private static final System.Logger LOG = System.getLogger(CudnnGraph.class.getName());

  // Numbers of cudnn_graph.h.
  private static final int POINTWISE_DESCRIPTOR = 0;
  private static final int OPERATION_POINTWISE_DESCRIPTOR = 13;
  private static final int TENSOR_DESCRIPTOR = 17;
  private static final int MATMUL_DESCRIPTOR = 18;
  private static final int OPERATION_MATMUL_DESCRIPTOR = 19;
  private static final int REDUCTION_DESCRIPTOR = 21;
  private static final int OPERATION_REDUCTION_DESCRIPTOR = 22;
  private static final int OPERATION_RESHAPE_DESCRIPTOR = 31;

  private static final int TYPE_POINTWISE_MODE = 14;
  private static final int TYPE_REDUCTION_OPERATOR = 18;

  private static final int POINTWISE_MODE = 0;
  private static final int POINTWISE_MATH_PREC = 1;
  private static final int OPERATION_POINTWISE_PW_DESCRIPTOR = 750;
  private static final int OPERATION_POINTWISE_XDESC = 751;
  private static final int OPERATION_POINTWISE_BDESC = 752;
  private static final int OPERATION_POINTWISE_YDESC = 753;
  private static final int TENSOR_BYTE_ALIGNMENT = 900;
  private static final int TENSOR_DATA_TYPE = 901;
  private static final int TENSOR_DIMENSIONS = 902;
  private static final int TENSOR_STRIDES = 903;
  private static final int TENSOR_UNIQUE_ID = 906;
  private static final int TENSOR_IS_VIRTUAL = 907;
  private static final int TENSOR_IS_BY_VALUE = 908;
  private static final int MATMUL_COMP_TYPE = 1500;
  private static final int OPERATION_MATMUL_ADESC = 1520;
  private static final int OPERATION_MATMUL_BDESC = 1521;
  private static final int OPERATION_MATMUL_CDESC = 1522;
  private static final int OPERATION_MATMUL_DESC = 1523;
  private static final int REDUCTION_OPERATOR = 1600;
  private static final int REDUCTION_COMP_TYPE = 1601;
  private static final int OPERATION_REDUCTION_XDESC = 1610;
  private static final int OPERATION_REDUCTION_YDESC = 1611;
  private static final int OPERATION_REDUCTION_DESC = 1612;
  private static final int OPERATION_RESHAPE_XDESC = 2200;
  private static final int OPERATION_RESHAPE_YDESC = 2201;

  /** Functions of single elements. */
  static final int ADD = 0;

  static final int MULTIPLY = 1;
  static final int DIVIDE = 6;
  static final int SUBTRACT = 9;
  static final int EXP = 13;
  static final int LOGARITHM = 15;

  /** Reductions. */
  static final int SUM = 0;

  static final int MAXIMUM = 3;

  private static final long ALIGNMENT = 16;

  /** Of tensors that have no number of their own. */
  private static final int FIRST_INNER = 100;

  /** An engine that wants more working memory than this is not worth it. */
  private static final long MAX_WORKSPACE = 1L << 30;

  /** Of engines that are not taken. */
  private static final Set<Integer> AVOIDED =
      Set.of(NOTE_DOWN_CONVERT_INPUTS, NOTE_REDUCED_PRECISION_REDUCTION, NOTE_NONDETERMINISTIC);

  private final CudnnBackend backend;
  private final Object what;
  private final LongStream.Builder operations = LongStream.builder();
  private final Map<Long, Long> scalars = new TreeMap<>();
  private int inner = FIRST_INNER;

  /** Null if there is none. */
  private Plan plan;

  private String refusal = "";

  /** Adds operations to a graph. */
  interface Description {
    void describe(CudnnGraph graph) throws Refused;
  }

  /** Where the elements of a tensor with four dimensions lie. */
  record Layout(long[] dimensions, long[] strides) {
    /** In row-major order. */
    static Layout dense(long a, long b, long c, long d) {
      return new Layout(new long[] {a, b, c, d}, new long[] {b * c * d, c * d, d, 1});
    }

    /** The same elements, with the last two dimensions exchanged. */
    Layout transposed() {
      return new Layout(swapped(dimensions), swapped(strides));
    }

    private static long[] swapped(long... four) {
      return new long[] {four[0], four[1], four[3], four[2]};
    }
  }

  /**
   * Describes a graph and looks for an engine.
   *
   * @param what it computes, for people
   */
  CudnnGraph(CudnnBackend backend, Object what, Description description) {
    this.backend = backend;
    this.what = what;
    try {
      description.describe(this);
      plan = backend.plan(operations.build().toArray(), AVOIDED, MAX_WORKSPACE);
    } catch (Refused e) {
      refusal = e.getMessage();
      LOG.log(
          System.Logger.Level.INFO, "cuda device: cuDNN has no graph for {0}: {1}", what, refusal);
    }
  }

  /** A tensor in memory, at an address that {@link #run} gets with its number. */
  long tensor(int id, int type, Layout layout) throws Refused {
    return describe(id, type, layout);
  }

  /** A tensor that only operations of the graph read. */
  long inner(int type, Layout layout) throws Refused {
    return describe(inner++, type, layout, Attribute.isTrue(TENSOR_IS_VIRTUAL));
  }

  /** A number. */
  long scalar(float value) throws Refused {
    scalars.put((long) inner, backend.constant(value));
    Attribute byValue = Attribute.isTrue(TENSOR_IS_BY_VALUE);
    return describe(inner++, CUDNN_DATA_FLOAT, Layout.dense(1, 1, 1, 1), byValue);
  }

  private long describe(int id, int type, Layout layout, Attribute... more) throws Refused {
    Stream<Attribute> common =
        Stream.of(
            Attribute.dataType(TENSOR_DATA_TYPE, type),
            Attribute.longs(TENSOR_DIMENSIONS, layout.dimensions),
            Attribute.longs(TENSOR_STRIDES, layout.strides),
            Attribute.longs(TENSOR_UNIQUE_ID, id),
            Attribute.longs(TENSOR_BYTE_ALIGNMENT, ALIGNMENT));
    return backend.describe(
        TENSOR_DESCRIPTOR, Stream.concat(common, Stream.of(more)).toArray(Attribute[]::new));
  }

  /** Adds an operation. */
  void operation(int type, Attribute... attributes) throws Refused {
    operations.add(backend.describe(type, attributes));
  }

  /** {@code y = f(x)} of every element. */
  void map(int function, long x, long y) throws Refused {
    operation(
        OPERATION_POINTWISE_DESCRIPTOR,
        Attribute.descriptors(OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise(function)),
        Attribute.descriptors(OPERATION_POINTWISE_XDESC, x),
        Attribute.descriptors(OPERATION_POINTWISE_YDESC, y));
  }

  /** {@code y = f(a, b)} of every element; b is repeated along dimensions of one element. */
  void map(int function, long a, long b, long y) throws Refused {
    operation(
        OPERATION_POINTWISE_DESCRIPTOR,
        Attribute.descriptors(OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise(function)),
        Attribute.descriptors(OPERATION_POINTWISE_XDESC, a),
        Attribute.descriptors(OPERATION_POINTWISE_BDESC, b),
        Attribute.descriptors(OPERATION_POINTWISE_YDESC, y));
  }

  private long pointwise(int function) throws Refused {
    return backend.describe(
        POINTWISE_DESCRIPTOR,
        Attribute.ints(POINTWISE_MODE, TYPE_POINTWISE_MODE, function),
        Attribute.dataType(POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT));
  }

  /** {@code c = a·b} of the matrices in the last two dimensions, summed in float32. */
  void multiply(long a, long b, long c) throws Refused {
    long product =
        backend.describe(MATMUL_DESCRIPTOR, Attribute.dataType(MATMUL_COMP_TYPE, CUDNN_DATA_FLOAT));
    operation(
        OPERATION_MATMUL_DESCRIPTOR,
        Attribute.descriptors(OPERATION_MATMUL_ADESC, a),
        Attribute.descriptors(OPERATION_MATMUL_BDESC, b),
        Attribute.descriptors(OPERATION_MATMUL_CDESC, c),
        Attribute.descriptors(OPERATION_MATMUL_DESC, product));
  }

  /** Reduces the dimensions of which y has but one element. */
  void reduce(int operator, long x, long y) throws Refused {
    long reduction =
        backend.describe(
            REDUCTION_DESCRIPTOR,
            Attribute.ints(REDUCTION_OPERATOR, TYPE_REDUCTION_OPERATOR, operator),
            Attribute.dataType(REDUCTION_COMP_TYPE, CUDNN_DATA_FLOAT));
    operation(
        OPERATION_REDUCTION_DESCRIPTOR,
        Attribute.descriptors(OPERATION_REDUCTION_XDESC, x),
        Attribute.descriptors(OPERATION_REDUCTION_YDESC, y),
        Attribute.descriptors(OPERATION_REDUCTION_DESC, reduction));
  }

  /** Reads the elements of x in the layout of y. */
  void reshape(long x, long y) throws Refused {
    operation(
        OPERATION_RESHAPE_DESCRIPTOR,
        Attribute.descriptors(OPERATION_RESHAPE_XDESC, x),
        Attribute.descriptors(OPERATION_RESHAPE_YDESC, y));
  }

  boolean isThere() {
    return plan != null;
  }

  long workspaceBytes() {
    return plan.workspaceBytes();
  }

  /** For people: how this is computed. */
  String algorithm() {
    return isThere()
        ? String.format(Locale.ROOT, "one graph, %.1f MB", plan.workspaceBytes() / 1e6)
        : "no graph with the same bits every time (" + refusal + ")";
  }

  /**
   * Computes.
   *
   * @param ids of the tensors in memory
   * @param addresses where they are
   */
  void run(long[] ids, long[] addresses, long workspace) {
    try {
      backend.run(
          plan, joined(ids, scalars.keySet()), joined(addresses, scalars.values()), workspace);
    } catch (Refused e) {
      throw Failure.library("cuDNN", what.toString(), e.getMessage());
    }
  }

  private static long[] joined(long[] some, Collection<Long> more) {
    return LongStream.concat(LongStream.of(some), more.stream().mapToLong(Long::longValue))
        .toArray();
  }
}
