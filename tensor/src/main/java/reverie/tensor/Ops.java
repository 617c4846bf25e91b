// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.util.Collections;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AveragePool;
import reverie.tensor.op.Concat;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Creation;
import reverie.tensor.op.Embedding;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.GaussianLogProb;
import reverie.tensor.op.Geglu;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.Linear;
import reverie.tensor.op.Op;
import reverie.tensor.op.Select;
import reverie.tensor.op.UpsampleNearest;
import reverie.tensor.op.Widen;

/**
 * The one seam through which every operation passes, and the operations of several tensors by name.
 */
public final class Ops {
  private Ops() {}

  /** Carries out an operation on at least one input and returns its first output. */
  public static Tensor apply(Op op, Tensor... inputs) {
    return applyAll(op, inputs)[0];
  }

  /** Carries out an operation on at least one input and returns all its outputs. */
  public static Tensor[] applyAll(Op op, Tensor... inputs) {
    if (inputs.length == 0) {
      throw new ReverieException(
          op.name() + ": expected at least one input, got none",
          "what needs none is made on a device: Ops.create(device, operation)");
    }
    return Interpreter.current().apply(inputs[0].device(), op, inputs);
  }

  /** Makes a tensor on a device. */
  public static Tensor create(Device device, Creation op) {
    return Interpreter.current().apply(device, op)[0];
  }

  /** Carries out an operation that writes into existing tensors, which may be inputs too. */
  public static void update(Op op, Tensor[] targets, Tensor... inputs) {
    Interpreter.current().update(op, targets, inputs);
  }

  /** {@code mask·a + (1−mask)·b} for a mask of zeros and ones, without 0·∞. All three broadcast. */
  public static Tensor where(Tensor mask, Tensor a, Tensor b) {
    return apply(new Select(), mask, a, b);
  }

  /** Joins along an axis. */
  public static Tensor concat(int axis, Tensor... parts) {
    return apply(new Concat(parts[0].shape().axis(axis)), parts);
  }

  /**
   * Repeats x along its first axis until it has {@code rows} rows.
   *
   * @param x {@code [n, …]}; itself the result if it has these rows
   * @param rows a multiple of n
   */
  public static Tensor repeat(Tensor x, int rows) {
    int n = x.dim(0);
    if (n == rows) {
      return x;
    }
    if (!repeats(n, rows)) {
      throw new ReverieException("repeat: expected a multiple of " + n + " rows, got " + rows);
    }
    return concat(0, Collections.nCopies(rows / n, x).toArray(Tensor[]::new));
  }

  /** Whether n rows can be {@linkplain #repeat repeated} to {@code rows}. */
  public static boolean repeats(int n, int rows) {
    return n == rows || n > 0 && rows > 0 && rows % n == 0;
  }

  /** Repeats row 0 until x has {@code rows} rows; the others follow. */
  public static Tensor repeatFirst(Tensor x, int rows) {
    int others = x.dim(0) - 1;
    if (rows == others + 1) {
      return x;
    }
    if (rows <= others) {
      throw new ReverieException(
          "repeat: expected at least " + (others + 1) + " rows of " + x.type() + ", got " + rows);
    }
    Tensor first = x.slice(0, 0, 1).expand(x.shape().with(0, rows - others).dims());
    return concat(0, first, x.slice(0, 1, others + 1));
  }

  /**
   * {@code x·weightᵀ + bias} over the last axis.
   *
   * @param x {@code […, in]}
   * @param weight {@code [out, in]}
   * @param bias {@code [out]} or null
   */
  public static Tensor linear(Tensor x, Tensor weight, Tensor bias) {
    return bias == null ? apply(new Linear(), x, weight) : apply(new Linear(), x, weight, bias);
  }

  /**
   * {@code x·weightᵀ + bias + residual}.
   *
   * @param bias {@code [out]} or null
   * @param residual {@code […, out]} or null
   */
  public static Tensor linear(Tensor x, Tensor weight, Tensor bias, Tensor residual) {
    if (residual == null) {
      return linear(x, weight, bias);
    }
    return bias == null
        ? linear(x, weight, null).add(residual)
        : apply(new Linear(), x, weight, bias, residual);
  }

  /**
   * Two-dimensional cross-correlation.
   *
   * @param x {@code [n, h, w, cin]}
   * @param weight {@code [kh, kw, cin, cout]}
   * @param bias {@code [cout]}, or {@code [n, cout]} to tell each image something else, or null
   * @param padding zeros on every side
   */
  public static Tensor conv2d(Tensor x, Tensor weight, Tensor bias, int stride, int padding) {
    Conv2d op = new Conv2d(stride, padding);
    return bias == null ? apply(op, x, weight) : apply(op, x, weight, bias);
  }

  /**
   * Two-dimensional cross-correlation, added to something.
   *
   * @param residual {@code [n, oh, ow, cout]}
   */
  public static Tensor conv2d(
      Tensor x, Tensor weight, Tensor bias, Tensor residual, int stride, int padding) {
    return apply(new Conv2d(stride, padding), x, weight, bias, residual);
  }

  /**
   * Group normalisation of {@code [n, …, c]} over everything but n, in {@code groups} groups of
   * channels.
   */
  public static Tensor groupNorm(Tensor x, Tensor gamma, Tensor beta, int groups, double epsilon) {
    return apply(new GroupNorm(groups, epsilon), x, gamma, beta);
  }

  /** {@link #groupNorm}, then {@code x·sigmoid(x)}. */
  public static Tensor groupNormSilu(
      Tensor x, Tensor gamma, Tensor beta, int groups, double epsilon) {
    return apply(new GroupNorm(groups, epsilon, GroupNorm.Activation.SILU), x, gamma, beta);
  }

  /** Layer normalisation over the last axis. */
  public static Tensor layerNorm(Tensor x, Tensor gamma, Tensor beta, double epsilon) {
    return apply(new LayerNorm(epsilon), x, gamma, beta);
  }

  /**
   * {@code softmax(scale·q·kᵀ)·v} in each of several heads.
   *
   * @param q {@code [b, tq, heads·d]}
   * @param k {@code [b, tk, heads·d]}
   * @param v {@code [b, tk, heads·dv]}
   * @return {@code [b, tq, heads·dv]}
   */
  public static Tensor attention(Tensor q, Tensor k, Tensor v, int heads, double scale) {
    return apply(new Attention(scale, heads), q, k, v);
  }

  /** Each pixel of {@code [n, h, w, c]} repeated {@code factor} times in both directions. */
  public static Tensor upsampleNearest(Tensor x, int factor) {
    return apply(new UpsampleNearest(factor), x);
  }

  /** Means of {@code factor × factor} tiles of {@code [n, h, w, c]}. */
  public static Tensor averagePool(Tensor x, int factor) {
    return apply(new AveragePool(factor), x);
  }

  /** Numbers of 16 bits, two in a word of {@code I32[⌈size/2⌉]}, as floats of this shape. */
  public static Tensor widen(Tensor words, DType from, Shape shape) {
    return apply(new Widen(from, shape), words);
  }

  /** Rows of {@code table [rows, d]} at {@code indices} (I32, any shape): {@code [indices…, d]}. */
  public static Tensor embedding(Tensor table, Tensor indices) {
    return apply(new Embedding(), table, indices);
  }

  /** {@code a·gelu(b)} where the last axis is a then b. */
  public static Tensor geglu(Tensor x) {
    return apply(new Geglu(), x);
  }

  /**
   * A transformer's feed-forward network: {@code residual + geglu(x·upᵀ + upBias)·downᵀ +
   * downBias}.
   *
   * @param x {@code […, in]}
   * @param up {@code [2c, in]}
   * @param down {@code [out, c]}
   * @param residual {@code […, out]}, as is the result
   */
  public static Tensor feedForward(
      Tensor x, Tensor up, Tensor upBias, Tensor down, Tensor downBias, Tensor residual) {
    return apply(new FeedForward(), x, up, upBias, down, downBias, residual);
  }

  /**
   * Log-density of {@code x} under N(mean, sigma²), as the mean over the elements of each sample:
   * {@code [n]}.
   *
   * @param x {@code [n, …]}
   * @param mean like x
   * @param sigma {@code [n]}, positive
   */
  public static Tensor gaussianLogProb(Tensor x, Tensor mean, Tensor sigma) {
    return apply(new GaussianLogProb(), x, mean, sigma);
  }

  /** Mean squared difference over all elements: a scalar. */
  public static Tensor mse(Tensor a, Tensor b) {
    return a.sub(b).square().mean();
  }
}
