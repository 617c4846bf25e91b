// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static jcuda.jcudnn.cudnnConvolutionMode.CUDNN_CROSS_CORRELATION;
import static jcuda.jcudnn.cudnnDataType.CUDNN_DATA_BFLOAT16;
import static jcuda.jcudnn.cudnnDataType.CUDNN_DATA_FLOAT;

import reverie.tensor.cuda.driver.CudnnBackend.Attribute;
import reverie.tensor.cuda.driver.CudnnBackend.Refused;
import reverie.tensor.cuda.driver.CudnnGraph.Layout;

/** A convolution with bias and residual as one graph of cuDNN's. */
final class CudnnLayer {
  // Numbers of cudnn_graph.h.
  private static final int CONVOLUTION_DESCRIPTOR = 1;
  private static final int OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR = 10;

  private static final int TYPE_CONVOLUTION_MODE = 7;

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

  private static final int X = 1;
  private static final int W = 2;
  private static final int Y = 3;
  private static final int BIAS = 4;
  private static final int RESIDUAL = 5;

  private final CudnnBackend backend;
  private final Dnn.Layer layer;
  private final CudnnGraph graph;

  CudnnLayer(CudnnBackend backend, Dnn.Layer layer) {
    this.backend = backend;
    this.layer = layer;
    graph = new CudnnGraph(backend, layer, this::describe);
  }

  private void describe(CudnnGraph graph) throws Refused {
    Dnn.Problem p = layer.problem();
    int type = p.precision() == Precision.BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    long height = (p.height() + 2L * p.padding() - p.kernelHeight()) / p.stride() + 1;
    long width = (p.width() + 2L * p.padding() - p.kernelWidth()) / p.stride() + 1;
    Layout result = layout(p.n(), p.outputs(), height, width);
    long x = graph.tensor(X, type, layout(p.n(), p.channels(), p.height(), p.width()));
    long w =
        graph.tensor(W, type, layout(p.outputs(), p.channels(), p.kernelHeight(), p.kernelWidth()));
    long bias = graph.tensor(BIAS, CUDNN_DATA_FLOAT, layout(1, p.outputs(), 1, 1));
    long y = graph.tensor(Y, CUDNN_DATA_FLOAT, result);
    long sum = graph.inner(CUDNN_DATA_FLOAT, result);
    convolve(graph, x, w, sum);
    if (layer.residual()) {
      long convolved = sum;
      sum = graph.inner(CUDNN_DATA_FLOAT, result);
      long residual = graph.tensor(RESIDUAL, CUDNN_DATA_FLOAT, result);
      graph.map(CudnnGraph.ADD, convolved, residual, sum);
    }
    graph.map(CudnnGraph.ADD, sum, bias, y);
  }

  /** Images, channels, rows and columns, which lie in memory with the channels last. */
  private static Layout layout(long n, long c, long rows, long columns) {
    return new Layout(
        new long[] {n, c, rows, columns}, new long[] {c * rows * columns, 1, c * columns, c});
  }

  private void convolve(CudnnGraph graph, long x, long w, long y) throws Refused {
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
    graph.operation(
        OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
        Attribute.descriptors(CONVOLUTION_FORWARD_CONV_DESC, convolution),
        Attribute.descriptors(CONVOLUTION_FORWARD_X, x),
        Attribute.descriptors(CONVOLUTION_FORWARD_W, w),
        Attribute.descriptors(CONVOLUTION_FORWARD_Y, y),
        Attribute.one(CONVOLUTION_FORWARD_ALPHA, 1),
        Attribute.one(CONVOLUTION_FORWARD_BETA, 0));
  }

  CudnnGraph graph() {
    return graph;
  }

  void run(Dnn.Operands o) {
    long[] ids =
        layer.residual() ? new long[] {X, W, Y, BIAS, RESIDUAL} : new long[] {X, W, Y, BIAS};
    long[] addresses =
        layer.residual()
            ? new long[] {o.x(), o.w(), o.y(), o.bias(), o.residual()}
            : new long[] {o.x(), o.w(), o.y(), o.bias()};
    graph.run(ids, addresses, o.workspace());
  }
}
