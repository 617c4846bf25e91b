// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import static jcuda.jcudnn.cudnnDataType.CUDNN_DATA_BFLOAT16;
import static jcuda.jcudnn.cudnnDataType.CUDNN_DATA_FLOAT;

import java.util.Set;
import reverie.tensor.cuda.driver.CudnnBackend.Refused;
import reverie.tensor.cuda.driver.CudnnGraph.Layout;

/**
 * Attention or its gradients as one graph of cuDNN's, made of the operations in which cuDNN's
 * engines for attention are asked for. The gradient of the queries is one product, not a sum in
 * memory to which blocks add in any order.
 */
final class CudnnAttention {
  private static final int Q = 1;
  private static final int K = 2;
  private static final int V = 3;
  private static final int Y = 4;
  private static final int LOG_SUM_EXP = 5;
  private static final int DY = 6;
  private static final int DY_Y = 7;
  private static final int DQ = 8;
  private static final int DK = 9;
  private static final int DV = 10;

  /** Up to 9.15 engines for gradients want other numbers of keys to be masked. */
  private static final int KEYS = 128;

  private static final long OLDEST = 90000;

  /** 9.10.0 and 9.10.1 are known for wrong results. */
  private static final Set<Long> WRONG = Set.of(91000L, 91001L);

  /**
   * Devices from here on want the engine that repeats its bits to be named, which cuDNN's
   * heuristics do not do.
   */
  private static final int BLACKWELL = 100;

  private static final long ALIGNMENT = 256;

  private final Dnn.Attention attention;
  private final CudnnGraph graph;

  /**
   * Whether cuDNN is to be asked for a graph at all.
   *
   * @param version as cuDNN gives it
   * @param capability of the device, 90 for 9.0
   */
  static boolean fits(Dnn.Attention a, long version, int capability) {
    boolean known = version >= OLDEST && !WRONG.contains(version);
    return known && a.tk() % KEYS == 0 && !(a.backward() && capability >= BLACKWELL);
  }

  CudnnAttention(CudnnBackend backend, Dnn.Attention attention) {
    this.attention = attention;
    graph =
        new CudnnGraph(backend, attention, attention.backward() ? this::backward : this::forward);
  }

  private Layout rows(int t, int width, int row) {
    return new Layout(
        new long[] {attention.b(), attention.heads(), t, width},
        new long[] {(long) t * row, width, row, 1});
  }

  private Layout queries() {
    return rows(attention.tq(), attention.d(), attention.qRow());
  }

  private Layout keys() {
    return rows(attention.tk(), attention.d(), attention.kRow());
  }

  private Layout values() {
    return rows(attention.tk(), attention.dv(), attention.vRow());
  }

  /** Of a tensor whose heads lie beside each other without gaps. */
  private Layout packed(int t, int width) {
    return rows(t, width, attention.heads() * width);
  }

  private Layout scores() {
    return Layout.dense(attention.b(), attention.heads(), attention.tq(), attention.tk());
  }

  /** Of a number for each query. */
  private Layout each() {
    return Layout.dense(attention.b(), attention.heads(), attention.tq(), 1);
  }

  /** Products of queries and keys, scaled. */
  private long scaled(CudnnGraph graph, long q, long keys, long scale) throws Refused {
    long products = graph.inner(CUDNN_DATA_FLOAT, scores());
    graph.multiply(q, keys, products);
    return map(graph, CudnnGraph.MULTIPLY, products, scale, scores());
  }

  /** A function of two tensors, as a tensor inside the graph. */
  private static long map(CudnnGraph graph, int function, long a, long b, Layout layout)
      throws Refused {
    long y = graph.inner(CUDNN_DATA_FLOAT, layout);
    graph.map(function, a, b, y);
    return y;
  }

  private static long map(CudnnGraph graph, int function, long x, Layout layout) throws Refused {
    long y = graph.inner(CUDNN_DATA_FLOAT, layout);
    graph.map(function, x, y);
    return y;
  }

  private static long reduced(CudnnGraph graph, int operator, long x, Layout layout)
      throws Refused {
    long y = graph.inner(CUDNN_DATA_FLOAT, layout);
    graph.reduce(operator, x, y);
    return y;
  }

  /** The same as bfloat16, read column by column. */
  private long turned(CudnnGraph graph, long matrix) throws Refused {
    long y = graph.inner(CUDNN_DATA_BFLOAT16, scores().transposed());
    graph.reshape(matrix, y);
    return y;
  }

  private void forward(CudnnGraph graph) throws Refused {
    long q = graph.tensor(Q, CUDNN_DATA_BFLOAT16, queries());
    long k = graph.tensor(K, CUDNN_DATA_BFLOAT16, keys().transposed());
    long v = graph.tensor(V, CUDNN_DATA_BFLOAT16, values());
    long y = graph.tensor(Y, CUDNN_DATA_BFLOAT16, packed(attention.tq(), attention.dv()));
    long logSumExp = graph.tensor(LOG_SUM_EXP, CUDNN_DATA_FLOAT, each());
    long scaled = scaled(graph, q, k, graph.scalar(attention.scale()));
    long largest = reduced(graph, CudnnGraph.MAXIMUM, scaled, each());
    long shifted = map(graph, CudnnGraph.SUBTRACT, scaled, largest, scores());
    long e = map(graph, CudnnGraph.EXP, shifted, scores());
    long sum = reduced(graph, CudnnGraph.SUM, e, each());
    long logarithm = map(graph, CudnnGraph.LOGARITHM, sum, each());
    graph.map(CudnnGraph.ADD, largest, logarithm, logSumExp);
    long weights = graph.inner(CUDNN_DATA_BFLOAT16, scores());
    graph.map(CudnnGraph.DIVIDE, e, sum, weights);
    graph.multiply(weights, v, y);
  }

  private void backward(CudnnGraph graph) throws Refused {
    long q = graph.tensor(Q, CUDNN_DATA_BFLOAT16, queries());
    long k = graph.tensor(K, CUDNN_DATA_BFLOAT16, keys().transposed());
    long v = graph.tensor(V, CUDNN_DATA_BFLOAT16, values().transposed());
    Layout results = packed(attention.tq(), attention.dv());
    long y = graph.tensor(Y, CUDNN_DATA_BFLOAT16, results);
    long dy = graph.tensor(DY, CUDNN_DATA_BFLOAT16, results);
    long logSumExp = graph.tensor(LOG_SUM_EXP, CUDNN_DATA_FLOAT, each());
    long dyY = graph.tensor(DY_Y, CUDNN_DATA_FLOAT, each());
    long dq = graph.tensor(DQ, CUDNN_DATA_BFLOAT16, packed(attention.tq(), attention.d()));
    long dk = graph.tensor(DK, CUDNN_DATA_BFLOAT16, packed(attention.tk(), attention.d()));
    long dv = graph.tensor(DV, CUDNN_DATA_BFLOAT16, packed(attention.tk(), attention.dv()));
    long scale = graph.scalar(attention.scale());

    long products = map(graph, CudnnGraph.MULTIPLY, dy, y, results);
    long sums = reduced(graph, CudnnGraph.SUM, products, each());
    // The engines undo dropout's scale here, which is 1, and keep the sums in memory.
    graph.map(CudnnGraph.MULTIPLY, sums, graph.scalar(1), dyY);

    long scaled = scaled(graph, q, k, scale);
    long shifted = map(graph, CudnnGraph.SUBTRACT, scaled, logSumExp, scores());
    long p = map(graph, CudnnGraph.EXP, shifted, scores());
    graph.multiply(turned(graph, p), dy, dv);

    long dp = graph.inner(CUDNN_DATA_FLOAT, scores());
    graph.multiply(dy, v, dp);
    long centred = map(graph, CudnnGraph.SUBTRACT, dp, dyY, scores());
    long weighted = map(graph, CudnnGraph.MULTIPLY, centred, p, scores());
    long ds = map(graph, CudnnGraph.MULTIPLY, weighted, scale, scores());
    graph.multiply(turned(graph, ds), q, dk);
    long rows = graph.inner(CUDNN_DATA_BFLOAT16, keys());
    graph.reshape(k, rows);
    graph.multiply(ds, rows, dq);
  }

  CudnnGraph graph() {
    return graph;
  }

  /** The graph's, and of gradients Σ dy·y of every query. */
  long workspaceBytes() {
    return (attention.backward() ? sumsBytes() : 0) + graph.workspaceBytes();
  }

  private long sumsBytes() {
    long bytes = 4L * attention.b() * attention.heads() * attention.tq();
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  void run(Dnn.Attended o) {
    if (attention.backward()) {
      graph.run(
          new long[] {Q, K, V, Y, LOG_SUM_EXP, DY, DY_Y, DQ, DK, DV},
          new long[] {
            o.q(), o.k(), o.v(), o.y(), o.logSumExp(), o.dy(), o.workspace(), o.dq(), o.dk(), o.dv()
          },
          o.workspace() + sumsBytes());
    } else {
      graph.run(
          new long[] {Q, K, V, Y, LOG_SUM_EXP},
          new long[] {o.q(), o.k(), o.v(), o.y(), o.logSumExp()},
          o.workspace());
    }
  }
}
