// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static jcuda.jcudnn.cudnnConvolutionMode.CUDNN_CROSS_CORRELATION;
import static jcuda.jcudnn.cudnnDataType.CUDNN_DATA_BFLOAT16;
import static jcuda.jcudnn.cudnnDataType.CUDNN_DATA_FLOAT;
import static reverie.tensor.cuda.driver.CudnnBackend.NOTE_DOWN_CONVERT_INPUTS;
import static reverie.tensor.cuda.driver.CudnnBackend.NOTE_NONDETERMINISTIC;
import static reverie.tensor.cuda.driver.CudnnBackend.NOTE_REDUCED_PRECISION_REDUCTION;

import java.util.Locale;
import java.util.Set;
import reverie.tensor.cuda.driver.CudnnBackend.Attribute;
import reverie.tensor.cuda.driver.CudnnBackend.Plan;
import reverie.tensor.cuda.driver.CudnnBackend.Refused;

/**
 * A convolution with bias and residual as one graph of cuDNN's, if cuDNN has an engine for it that
 * gives the same bits every time. The engine comes from cuDNN's heuristics, once.
 */
final class CudnnLayer {
  private static final System.Logger LOG = System.getLogger(CudnnLayer.class.getName());

  // Numbers of cudnn_graph.h.
  private static final int POINTWISE_DESCRIPTOR = 0;
  private static final int CONVOLUTION_DESCRIPTOR = 1;
  private static final int OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR = 10;
  private static final int OPERATION_POINTWISE_DESCRIPTOR = 13;
  private static final int TENSOR_DESCRIPTOR = 17;

  private static final int TYPE_CONVOLUTION_MODE = 7;
  private static final int TYPE_POINTWISE_MODE = 14;
  private static final int POINTWISE_ADD = 0;

  private static final int POINTWISE_MODE = 0;
  private static final int POINTWISE_MATH_PREC = 1;
  private static final int CONVOLUTION_COMP_TYPE = 100;
  private static final int CONVOLUTION_CONV_MODE = 101;
  private static final int CONVOLUTION_DILATIONS = 102;
  private static final int CONVOLUTION_FILTER_STRIDES = 103;
  private static final int CONVOLUTION_POST_PADDINGS = 104;
  private static final int CONVOLUTION_PRE_PADDINGS = 105;
  private static final int CONVOLUTION_SPATIAL_DIMS = 106;
  private static final int CONVOLUTION_FORWARD_ALPHA = 700;
  private static final int CONVOLUTION_FORWARD_BETA = 701;
  private static final int CONVOLUTION_FORWARD_CONV_DESC = 702;
  private static final int CONVOLUTION_FORWARD_W = 703;
  private static final int CONVOLUTION_FORWARD_X = 704;
  private static final int CONVOLUTION_FORWARD_Y = 705;
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

  private static final int X = 1;
  private static final int W = 2;
  private static final int Y = 3;
  private static final int BIAS = 4;
  private static final int RESIDUAL = 5;
  private static final int CONVOLVED = 6;
  private static final int SUM = 7;

  private static final long ALIGNMENT = 16;

  /** An engine that wants more working memory than this is not worth it. */
  private static final long MAX_WORKSPACE = 1L << 30;

  /** Of engines that are not taken. */
  private static final Set<Integer> AVOIDED =
      Set.of(NOTE_DOWN_CONVERT_INPUTS, NOTE_REDUCED_PRECISION_REDUCTION, NOTE_NONDETERMINISTIC);

  private final CudnnBackend backend;
  private final Dnn.Layer layer;
  private final int type;
  private final long height;
  private final long width;

  /** Null if there is none. */
  private Plan plan;

  private String refusal = "";

  CudnnLayer(CudnnBackend backend, Dnn.Layer layer) {
    this.backend = backend;
    this.layer = layer;
    Dnn.Problem p = layer.problem();
    type = p.precision() == Precision.BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    height = (p.height() + 2L * p.padding() - p.kernelHeight()) / p.stride() + 1;
    width = (p.width() + 2L * p.padding() - p.kernelWidth()) / p.stride() + 1;
    try {
      plan = backend.plan(operations(), AVOIDED, MAX_WORKSPACE);
    } catch (Refused e) {
      refusal = e.getMessage();
      LOG.log(
          System.Logger.Level.INFO, "cuda device: cuDNN has no graph for {0}: {1}", layer, refusal);
    }
  }

  private long[] operations() throws Refused {
    Dnn.Problem p = layer.problem();
    long x = tensor(X, type, p.n(), p.channels(), p.height(), p.width());
    long w = tensor(W, type, p.outputs(), p.channels(), p.kernelHeight(), p.kernelWidth());
    long bias = tensor(BIAS, CUDNN_DATA_FLOAT, 1, p.outputs(), 1, 1);
    long convolved = result(CONVOLVED, Attribute.isTrue(TENSOR_IS_VIRTUAL));
    long y = result(Y);
    long convolution = convolution(x, w, convolved);
    if (!layer.residual()) {
      return new long[] {convolution, add(convolved, bias, y)};
    }
    long sum = result(SUM, Attribute.isTrue(TENSOR_IS_VIRTUAL));
    return new long[] {convolution, add(convolved, result(RESIDUAL), sum), add(sum, bias, y)};
  }

  private long result(int id, Attribute... more) throws Refused {
    Dnn.Problem p = layer.problem();
    return tensor(id, CUDNN_DATA_FLOAT, p.n(), p.outputs(), height, width, more);
  }

  /** Images, channels, rows and columns, which lie in memory with the channels last. */
  private long tensor(
      int id, int elements, long n, long c, long rows, long columns, Attribute... more)
      throws Refused {
    Attribute[] all = new Attribute[5 + more.length];
    all[0] = Attribute.dataType(TENSOR_DATA_TYPE, elements);
    all[1] = Attribute.longs(TENSOR_DIMENSIONS, n, c, rows, columns);
    all[2] = Attribute.longs(TENSOR_STRIDES, c * rows * columns, 1, c * columns, c);
    all[3] = Attribute.longs(TENSOR_UNIQUE_ID, id);
    all[4] = Attribute.longs(TENSOR_BYTE_ALIGNMENT, ALIGNMENT);
    System.arraycopy(more, 0, all, 5, more.length);
    return backend.describe(TENSOR_DESCRIPTOR, all);
  }

  private long convolution(long x, long w, long y) throws Refused {
    long padding = layer.problem().padding();
    long stride = layer.problem().stride();
    long convolution =
        backend.describe(
            CONVOLUTION_DESCRIPTOR,
            Attribute.dataType(CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT),
            Attribute.ints(CONVOLUTION_CONV_MODE, TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION),
            Attribute.longs(CONVOLUTION_SPATIAL_DIMS, 2),
            Attribute.longs(CONVOLUTION_DILATIONS, 1, 1),
            Attribute.longs(CONVOLUTION_FILTER_STRIDES, stride, stride),
            Attribute.longs(CONVOLUTION_PRE_PADDINGS, padding, padding),
            Attribute.longs(CONVOLUTION_POST_PADDINGS, padding, padding));
    return backend.describe(
        OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
        Attribute.descriptors(CONVOLUTION_FORWARD_CONV_DESC, convolution),
        Attribute.descriptors(CONVOLUTION_FORWARD_X, x),
        Attribute.descriptors(CONVOLUTION_FORWARD_W, w),
        Attribute.descriptors(CONVOLUTION_FORWARD_Y, y),
        Attribute.one(CONVOLUTION_FORWARD_ALPHA, 1),
        Attribute.one(CONVOLUTION_FORWARD_BETA, 0));
  }

  private long add(long a, long b, long y) throws Refused {
    long addition =
        backend.describe(
            POINTWISE_DESCRIPTOR,
            Attribute.ints(POINTWISE_MODE, TYPE_POINTWISE_MODE, POINTWISE_ADD),
            Attribute.dataType(POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT));
    return backend.describe(
        OPERATION_POINTWISE_DESCRIPTOR,
        Attribute.descriptors(OPERATION_POINTWISE_PW_DESCRIPTOR, addition),
        Attribute.descriptors(OPERATION_POINTWISE_XDESC, a),
        Attribute.descriptors(OPERATION_POINTWISE_BDESC, b),
        Attribute.descriptors(OPERATION_POINTWISE_YDESC, y));
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

  void run(Dnn.Operands o) {
    long[] ids =
        layer.residual() ? new long[] {X, W, Y, BIAS, RESIDUAL} : new long[] {X, W, Y, BIAS};
    long[] addresses =
        layer.residual()
            ? new long[] {o.x(), o.w(), o.y(), o.bias(), o.residual()}
            : new long[] {o.x(), o.w(), o.y(), o.bias()};
    try {
      backend.run(plan, ids, addresses, o.workspace());
    } catch (Refused e) {
      throw Failure.library("cuDNN", layer.toString(), e.getMessage());
    }
  }
}
