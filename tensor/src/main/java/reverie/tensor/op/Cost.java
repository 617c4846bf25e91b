// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.DType;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/**
 * The least work an operation can be: what speeds are divided by.
 *
 * @param flops additions, multiplications and the like; a function such as exp counts as one
 * @param bytes each input read once and each output written once; nothing for views
 */
public record Cost(double flops, double bytes) {
  /** The cost of an operation on inputs of these types; backends may have narrowed some of them. */
  public static Cost of(Op op, List<TensorType> inputs) {
    List<TensorType> outputs =
        op.infer(
            inputs.stream()
                .map(t -> t.dtype() == DType.BF16 ? new TensorType(DType.F32, t.shape()) : t)
                .toList());
    return new Cost(
        flops(op, inputs, outputs), op instanceof View ? 0 : bytes(inputs) + bytes(outputs));
  }

  private static double bytes(List<TensorType> types) {
    return types.stream().mapToDouble(t -> (double) t.shape().size() * t.dtype().bytes()).sum();
  }

  private static double flops(Op op, List<TensorType> inputs, List<TensorType> outputs) {
    double in = inputs.isEmpty() ? 0 : inputs.getFirst().shape().size();
    double out = outputs.getFirst().shape().size();
    return switch (op) {
      case Concat _,
          Copy _,
          Embedding _,
          Expand _,
          Fill _,
          Pad _,
          Permute _,
          Reshape _,
          RoundTo _,
          Select _,
          Slice _,
          UpsampleNearest _,
          Widen _ ->
          0;
      case AveragePool _, Reduce _, ScatterRows _ -> in;
      case Binary _, Power _, Unary _ -> out;
      case Affine _, Clamp _ -> 2 * out;
      case EuclideanNorm _ -> 2 * in;
      case Lerp _ -> 3 * out;
      case AdamW _ -> 14 * out;
      case GaussianLogProb _ -> 3 * in;
      case Geglu _ -> 2 * out;
      case GegluBackward _ -> 4 * out;
      case GeluBackward _, SiluBackward _ -> 6 * out;
      case GroupNorm _, LayerNorm _ -> 8 * in;
      case GroupNormBackward _, LayerNormBackward _ -> 12 * in;
      case RandomNormal _ -> 40 * out;
      case Softmax _ -> 4 * in;
      case SoftmaxBackward _ -> 4 * in;
      case MatMul _ -> 2 * out * inputs.get(0).shape().dim(-1);
      case Linear _ -> 2 * out * inputs.get(0).shape().dim(-1);
      case LinearGradients _ -> 2 * out * inputs.get(0).shape().dim(0);
      case FeedForward _ -> feedForward(inputs.get(0), inputs.get(1), inputs.get(3));
      case FeedForwardBackward _ ->
          2 * feedForward(inputs.get(0), inputs.get(1), inputs.get(3))
              + 2 * inputs.get(0).shape().rows() * (double) inputs.get(1).shape().size();
      case Conv2d _ -> convolution(outputs.get(0).shape(), inputs.get(1).shape());
      case Conv2dInputGradient _ -> convolution(inputs.get(0).shape(), inputs.get(1).shape());
      case Conv2dWeightGradient _ -> convolution(inputs.get(1).shape(), outputs.get(0).shape());
      case Attention a -> 2 * attention(inputs) + 4 * a.heads() * scores(inputs);
      case AttentionBackward a -> 5 * attention(inputs) + 6 * a.heads() * scores(inputs);
      // Unknown until decomposed.
      case CustomOp _ -> 0;
    };
  }

  private static double feedForward(TensorType x, TensorType up, TensorType down) {
    double rows = x.shape().rows();
    return rows * (2 * up.shape().size() + 2 * down.shape().size() + 2 * down.shape().dim(1));
  }

  private static double convolution(Shape y, Shape weight) {
    return 2.0 * y.dim(0) * y.dim(1) * y.dim(2) * weight.size();
  }

  /** Scores of one head. */
  private static double scores(List<TensorType> inputs) {
    return (double) inputs.get(0).shape().dim(0)
        * inputs.get(0).shape().dim(1)
        * inputs.get(1).shape().dim(1);
  }

  /** One of the matrix products of attention, keys and values taken as equally deep. */
  private static double attention(List<TensorType> inputs) {
    return scores(inputs) * (inputs.get(0).shape().dim(2) + inputs.get(2).shape().dim(2));
  }
}
