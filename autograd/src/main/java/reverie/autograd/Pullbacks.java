// SPDX-License-Identifier: Apache-2.0
package reverie.autograd;

import java.util.Arrays;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;
import reverie.tensor.op.*;
import reverie.tensor.op.EuclideanNorm;

/**
 * The table of all gradients: for every operation, from the gradients of its outputs to those of
 * its inputs. Rules ignore broadcasting, which {@link Tape} undoes. An operation without a line
 * here does not compile; a fused operation without a rule of its own is differentiated through its
 * decomposition.
 */
final class Pullbacks {
  private Pullbacks() {}

  /** Whether any gradient can flow through the operation. */
  static boolean differentiable(Op op) {
    return !op.equals(new Unary(Unary.Kind.SIGN)) && !op.equals(new Binary(Binary.Kind.GREATER));
  }

  /**
   * Gradients of the inputs, or null where there is none.
   *
   * @param g gradients of the outputs, null for zero; at least one is not null
   * @param needs which inputs' gradients are wanted
   */
  static Tensor[] pull(Op op, Tensor[] in, Tensor[] out, Tensor[] g, boolean[] needs) {
    return switch (op) {
      case Unary u -> grads(unary(u.kind(), in[0], out[0], g[0]));
      case Binary b -> binary(b.kind(), in[0], in[1], out[0], g[0], needs);
      case Affine a -> grads(g[0].mul(a.scale()));
      case Power p -> grads(g[0].mul(in[0].pow(p.exponent() - 1)).mul(p.exponent()));
      case Clamp c -> grads(g[0].mul(inside(in[0], c.low(), c.high())));
      case RoundTo _ -> grads(g[0]);
      case Select _ -> {
        Tensor zero = g[0].device().scalar(0);
        yield grads(null, Ops.where(in[0], g[0], zero), Ops.where(in[0], zero, g[0]));
      }
      case Reduce r -> grads(reduce(r.kind(), in[0], out[0], g[0]));
      case Copy _ -> grads(g[0]);
      case Fill _ -> grads();
      case RandomNormal _ -> grads();
      case Reshape _ -> grads(g[0].reshape(in[0].shape().dims()));
      case Permute p -> grads(Ops.apply(p.inverse(), g[0]));
      case Expand _ -> grads(g[0]);
      case Slice s ->
          grads(Ops.apply(new Pad(s.axis(), s.from(), in[0].dim(s.axis()) - s.to()), g[0]));
      case Pad p -> grads(g[0].slice(p.axis(), p.before(), p.before() + in[0].dim(p.axis())));
      case Concat c -> concat(c.axis(), in, g[0], needs);
      case MatMul _ ->
          grads(
              needs[0] ? g[0].matmul(in[1].transpose()) : null,
              needs[1] ? in[0].transpose().matmul(g[0]) : null);
      case Linear _ -> linear(in, g[0], needs);
      case Conv2d c -> conv2d(c, in, g[0], needs);
      case Conv2dInputGradient c ->
          grads(
              needs[0] ? Ops.conv2d(g[0], in[1], null, c.stride(), c.padding()) : null,
              needs[1]
                  ? Ops.apply(
                      new Conv2dWeightGradient(c.stride(), c.padding(), in[1].dim(0), in[1].dim(1)),
                      g[0],
                      in[0])
                  : null);
      case Conv2dWeightGradient c ->
          grads(
              needs[0]
                  ? Ops.apply(
                      new Conv2dInputGradient(c.stride(), c.padding(), in[0].dim(1), in[0].dim(2)),
                      in[1],
                      g[0])
                  : null,
              needs[1] ? Ops.conv2d(in[0], g[0], null, c.stride(), c.padding()) : null);
      case Embedding _ -> grads(Ops.apply(new ScatterRows(in[0].dim(0)), g[0], in[1]), null);
      case Widen _ -> grads((Tensor) null);
      case ScatterRows _ -> grads(Ops.embedding(g[0], in[1]), null);
      case Softmax _ -> grads(Ops.apply(new SoftmaxBackward(), out[0], g[0]));
      case Geglu _ -> grads(Ops.apply(new GegluBackward(), in[0], g[0]));
      case GroupNorm n ->
          onlyFirst(g)
              ? Ops.applyAll(
                  new GroupNormBackward(n.groups(), n.activation()),
                  in[0],
                  in[1],
                  in[2],
                  out[1],
                  out[2],
                  g[0])
              : decomposed(n, in, g);
      case LayerNorm n ->
          onlyFirst(g)
              ? Ops.applyAll(new LayerNormBackward(), in[0], in[1], out[1], out[2], g[0])
              : decomposed(n, in, g);
      case Attention a ->
          onlyFirst(g)
              ? Ops.applyAll(
                  new AttentionBackward(a.scale(), a.heads()),
                  in[0],
                  in[1],
                  in[2],
                  out[0],
                  out[1],
                  g[0])
              : decomposed(a, in, g);
      case UpsampleNearest u ->
          grads(Ops.averagePool(g[0], u.factor()).mul((double) u.factor() * u.factor()));
      case AveragePool p ->
          grads(Ops.upsampleNearest(g[0], p.factor()).div((double) p.factor() * p.factor()));
      case FeedForward _ -> feedForward(in, g[0], needs);
      case EuclideanNorm _ -> grads(in[0].mul(g[0].div(out[0])));
      case AdamW f -> decomposed(f, in, g);
      case AttentionBackward f -> decomposed(f, in, g);
      case CustomOp f ->
          f instanceof CustomGradient rule ? rule.pullback(in, out, g) : decomposed(f, in, g);
      case FeedForwardBackward f -> decomposed(f, in, g);
      case GaussianLogProb f -> decomposed(f, in, g);
      case GegluBackward f -> decomposed(f, in, g);
      case GeluBackward f -> decomposed(f, in, g);
      case GroupNormBackward f -> decomposed(f, in, g);
      case LayerNormBackward f -> decomposed(f, in, g);
      case Lerp f -> decomposed(f, in, g);
      case LinearGradients f -> decomposed(f, in, g);
      case SiluBackward f -> decomposed(f, in, g);
      case SoftmaxBackward f -> decomposed(f, in, g);
    };
  }

  private static Tensor unary(Unary.Kind kind, Tensor x, Tensor y, Tensor g) {
    return switch (kind) {
      case ABS -> g.mul(x.sign());
      case COS -> g.mul(x.sin()).neg();
      case ERF -> g.mul(x.square().neg().exp()).mul(2 / Math.sqrt(Math.PI));
      case EXP -> g.mul(y);
      case GELU -> Ops.apply(new GeluBackward(), x, g);
      case LOG -> g.div(x);
      case LOG_SIGMOID -> g.mul(x.neg().sigmoid());
      case RECIPROCAL -> g.mul(y.square()).neg();
      case RELU -> g.mul(x.greater(x.device().scalar(0)));
      case SIGMOID -> g.mul(y).mul(y.neg().add(1));
      case SIGN -> null;
      case SILU -> Ops.apply(new SiluBackward(), x, g);
      case SIN -> g.mul(x.cos());
      case SQRT -> g.div(y).mul(0.5);
      case SQUARE -> g.mul(x).mul(2);
      case TANH -> g.mul(y.square().neg().add(1));
    };
  }

  private static Tensor[] binary(
      Binary.Kind kind, Tensor a, Tensor b, Tensor y, Tensor g, boolean[] needs) {
    return switch (kind) {
      case ADD -> grads(g, g);
      case SUB -> grads(g, needs[1] ? g.neg() : null);
      case MUL -> grads(needs[0] ? g.mul(b) : null, needs[1] ? g.mul(a) : null);
      case DIV -> {
        Tensor da = g.div(b);
        yield grads(da, needs[1] ? da.mul(y).neg() : null);
      }
      case GREATER -> grads(null, null);
      case MAXIMUM -> grads(g.mul(share(a, b)), g.mul(share(b, a)));
      case MINIMUM -> grads(g.mul(share(b, a)), g.mul(share(a, b)));
    };
  }

  /** 1 where a &gt; b, ½ at a tie: both get half of the gradient, as in JAX and PyTorch. */
  private static Tensor share(Tensor a, Tensor b) {
    return a.greater(b).sub(b.greater(a)).add(1).mul(0.5);
  }

  private static Tensor inside(Tensor x, double low, double high) {
    Tensor below = x.device().scalar(low).greater(x);
    Tensor above = x.greater(x.device().scalar(high));
    return below.add(above).neg().add(1);
  }

  private static Tensor reduce(Reduce.Kind kind, Tensor x, Tensor y, Tensor g) {
    return switch (kind) {
      case SUM -> g.expand(x.shape().dims());
      case MAX -> {
        Tensor largest = y.greater(x).neg().add(1);
        int[] reduced =
            IntStream.range(0, x.shape().rank()).filter(i -> x.dim(i) != y.dim(i)).toArray();
        yield reduced.length == 0 ? g : largest.mul(g.div(largest.sumKeep(reduced)));
      }
    };
  }

  private static Tensor[] concat(int axis, Tensor[] in, Tensor g, boolean[] needs) {
    Tensor[] out = new Tensor[in.length];
    int from = 0;
    for (int i = 0; i < in.length; i++) {
      int to = from + in[i].dim(axis);
      // Its own memory: several operations read it, some of which want it in one piece.
      out[i] = needs[i] ? g.slice(axis, from, to).contiguous() : null;
      from = to;
    }
    return out;
  }

  private static Tensor[] linear(Tensor[] in, Tensor g, boolean[] needs) {
    Tensor rows = g.rows();
    Tensor dx = needs[0] ? product(rows, in[1]).reshape(in[0].shape().dims()) : null;
    if (needs[1] && in.length > 2 && needs[2]) {
      Tensor[] both = Ops.applyAll(new LinearGradients(), in[0].rows(), rows);
      return withBias(in, dx, both[0], needs, () -> both[1], g);
    }
    Tensor dw = needs[1] ? product(rows.transpose(), in[0].rows()) : null;
    return withBias(in, dx, dw, needs, () -> rows.sum(0), g);
  }

  /** Activations between the products of a frozen feed-forward network, computed at once. */
  private static final long WIDE_FLOATS = 1 << 22;

  /** Larger ones are divided into no more, so that each is enough work for a GPU. */
  private static final int WIDE_PIECES = 4;

  private static Tensor[] feedForward(Tensor[] in, Tensor g, boolean[] needs) {
    if (needs[1] || needs[2] || needs[3] || needs[4]) {
      Tensor[] d = Ops.applyAll(new FeedForwardBackward(), in[0], in[1], in[2], in[3], g);
      return grads(d[0], d[1], d[2], d[3], d[4], g);
    }
    Tensor x = in[0].rows();
    Tensor dy = g.rows();
    int rows = x.dim(0);
    int pieces = Math.clamp((long) rows * in[1].dim(0) / WIDE_FLOATS, 1, WIDE_PIECES);
    Tensor[] dx = new Tensor[pieces];
    for (int i = 0; i < pieces; i++) {
      int from = (int) ((long) i * rows / pieces);
      int to = (int) ((i + 1L) * rows / pieces);
      Tensor wide = Ops.linear(x.slice(0, from, to), in[1], in[2]);
      Tensor dgated = product(dy.slice(0, from, to), in[3]);
      dx[i] = product(Ops.apply(new GegluBackward(), wide, dgated), in[1]);
    }
    Tensor all = pieces == 1 ? dx[0] : Ops.concat(0, dx);
    return grads(all.reshape(in[0].shape().dims()), null, null, null, null, g);
  }

  private static Tensor product(Tensor a, Tensor b) {
    return Ops.apply(new MatMul(true), a, b);
  }

  private static Tensor[] conv2d(Conv2d c, Tensor[] in, Tensor g, boolean[] needs) {
    Tensor x = in[0];
    Tensor w = in[1];
    Tensor dx =
        needs[0]
            ? Ops.apply(new Conv2dInputGradient(c.stride(), c.padding(), x.dim(1), x.dim(2)), g, w)
            : null;
    Tensor dw =
        needs[1]
            ? Ops.apply(new Conv2dWeightGradient(c.stride(), c.padding(), w.dim(0), w.dim(1)), x, g)
            : null;
    return withBias(
        in, dx, dw, needs, () -> in[2].shape().rank() == 1 ? g.sum(0, 1, 2) : g.sum(1, 2), g);
  }

  /** Gradients of as many inputs as there are; the residual's is the result's own. */
  private static Tensor[] withBias(
      Tensor[] in, Tensor dx, Tensor dw, boolean[] needs, Supplier<Tensor> bias, Tensor g) {
    Tensor[] all = {dx, dw, in.length > 2 && needs[2] ? bias.get() : null, g};
    return Arrays.copyOf(all, in.length);
  }

  private static boolean onlyFirst(Tensor[] g) {
    return g[0] != null && Arrays.stream(g).skip(1).allMatch(t -> t == null);
  }

  /** Through the definition: carried out again on copies that an inner tape follows. */
  private static Tensor[] decomposed(Fused op, Tensor[] in, Tensor[] g) {
    Tensor[] roots = Arrays.stream(in).map(Tensor::detach).toArray(Tensor[]::new);
    return Tape.pullback(() -> op.decompose(roots), roots, g);
  }

  private static Tensor[] grads(Tensor... gradients) {
    return gradients;
  }
}
