// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

/**
 * Convolutions and attention on the stream of a {@link Driver}: what Reverie uses of cuDNN.
 * Algorithms are chosen once for each problem, among those that give the same bits every time.
 */
public interface Dnn extends AutoCloseable {
  /**
   * A convolution of n images.
   *
   * @param height of the images
   * @param width of the images
   * @param channels of the images
   * @param outputs channels of the result
   * @param kernelHeight of the weights
   * @param kernelWidth of the weights
   */
  record Problem(
      int n,
      int height,
      int width,
      int channels,
      int outputs,
      int kernelHeight,
      int kernelWidth,
      int stride,
      int padding,
      Precision precision) {
    /** The same with another type of tensors and factors. */
    public Problem with(Precision other) {
      return new Problem(
          n, height, width, channels, outputs, kernelHeight, kernelWidth, stride, padding, other);
    }
  }

  /** What is computed from which two. */
  enum Direction {
    /** y from x and the weights. */
    FORWARD,
    /** The gradient of x from that of y and the weights. */
    INPUT_GRADIENT,
    /** The gradient of the weights from x and that of y. */
    WEIGHT_GRADIENT
  }

  /**
   * Whether there is an algorithm that gives the same bits every time, in memory that there is;
   * {@link #run} may be called only then.
   */
  default boolean supports(Problem problem, Direction direction) {
    return true;
  }

  /** For people: which algorithm is used, and how it was found. */
  default String algorithm(Problem problem, Direction direction) {
    return describe();
  }

  /** Bytes of working memory that {@link #run} needs. */
  long workspaceBytes(Problem problem, Direction direction);

  /**
   * Computes. Images and results are NHWC, weights [outputs, kernelHeight, kernelWidth, channels].
   * With {@link Precision#BF16} all three are bfloat16, else float32; sums are always float32.
   *
   * @param first x; for the gradient of x that of y
   * @param second the weights; for their gradient that of y
   * @param result its memory is overwritten
   */
  void run(
      Problem problem, Direction direction, long first, long second, long result, long workspace);

  /**
   * A convolution that adds a bias [outputs] to every pixel, and a residual of the result's shape,
   * on the way. Bias, residual and result are float32; sums are not rounded before they are added.
   *
   * @param residual whether there is one
   */
  record Layer(Problem problem, boolean residual) {}

  /**
   * The addresses of a {@link Layer}.
   *
   * @param residual 0 if there is none
   */
  record Operands(long x, long w, long bias, long residual, long y, long workspace) {}

  /** Whether there is a way to compute this at once; the other methods may be called only then. */
  default boolean supports(Layer layer) {
    return false;
  }

  /** For people: how it is computed. */
  default String algorithm(Layer layer) {
    return describe();
  }

  /** Bytes of working memory that {@link #run(Layer, Operands)} needs. */
  default long workspaceBytes(Layer layer) {
    throw new IllegalStateException("not computed at once: " + layer);
  }

  /** Computes, in the layouts of the other {@code run}. */
  default void run(Layer layer, Operands operands) {
    throw new IllegalStateException("not computed at once: " + layer);
  }

  /**
   * {@code softmax(scale·q·kᵀ)·v} in each head, or its gradients. All tensors are bfloat16 {@code
   * [b, t, heads·width]}; a head's row follows that of the head before.
   *
   * @param tq queries
   * @param tk keys
   * @param d width of queries and keys in a head
   * @param dv width of values in a head
   * @param qRow elements from one query to the next, of images that follow each other so too
   * @param kRow the same of keys
   * @param vRow the same of values; results and gradients have no gaps
   * @param backward whether gradients are computed
   */
  record Attention(
      int b,
      int heads,
      int tq,
      int tk,
      int d,
      int dv,
      float scale,
      int qRow,
      int kRow,
      int vRow,
      boolean backward) {}

  /**
   * The addresses of an {@link Attention}, 0 for gradients where none are computed.
   *
   * @param y {@code [b, tq, heads·dv]}, read where gradients are computed
   * @param logSumExp natural logarithms of {@code Σ exp(scale·q·kᵀ)}, float32 {@code [b, heads,
   *     tq]}, read where gradients are computed
   */
  record Attended(
      long q,
      long k,
      long v,
      long y,
      long logSumExp,
      long dy,
      long dq,
      long dk,
      long dv,
      long workspace) {}

  /**
   * Whether this can be computed with the same bits every time; the other methods may be called
   * only then.
   */
  default boolean supports(Attention attention) {
    return false;
  }

  /** For people: how it is computed, or why not. */
  default String algorithm(Attention attention) {
    return describe();
  }

  /** Bytes of working memory that {@link #run(Attention, Attended)} needs. */
  default long workspaceBytes(Attention attention) {
    throw new IllegalStateException("not computed: " + attention);
  }

  /** Computes. */
  default void run(Attention attention, Attended addresses) {
    throw new IllegalStateException("not computed: " + attention);
  }

  /** For people: the library's name and version. */
  String describe();

  @Override
  void close();
}
