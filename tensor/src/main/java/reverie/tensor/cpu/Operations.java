// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.KernelLibrary;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;
import reverie.tensor.op.AveragePool;
import reverie.tensor.op.Concat;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.Convolution;
import reverie.tensor.op.Copy;
import reverie.tensor.op.Creation;
import reverie.tensor.op.CustomOp;
import reverie.tensor.op.DataMovement;
import reverie.tensor.op.ElementFunction;
import reverie.tensor.op.ElementWise;
import reverie.tensor.op.Embedding;
import reverie.tensor.op.EuclideanNorm;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.FeedForwardBackward;
import reverie.tensor.op.Fill;
import reverie.tensor.op.GaussianLogProb;
import reverie.tensor.op.Geglu;
import reverie.tensor.op.GegluBackward;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.LayerNormBackward;
import reverie.tensor.op.Lerp;
import reverie.tensor.op.Linear;
import reverie.tensor.op.LinearGradients;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;
import reverie.tensor.op.Pad;
import reverie.tensor.op.RandomNormal;
import reverie.tensor.op.Reduce;
import reverie.tensor.op.Reduction;
import reverie.tensor.op.ScatterRows;
import reverie.tensor.op.Softmax;
import reverie.tensor.op.SoftmaxBackward;
import reverie.tensor.op.UpsampleNearest;
import reverie.tensor.op.View;
import reverie.tensor.op.Widen;

/** Which kernels, of a library or written once for all, carry out an operation. */
record Operations(KernelLibrary kernels) {
  /** Whether {@link #run} knows an operation on these inputs. */
  boolean supports(Op op, Tensor[] inputs) {
    return switch (op) {
      case FeedForward _, FeedForwardBackward _ -> kernels.feedForward().isPresent();
      case GroupNorm norm -> kernels.norms().fuses(norm.activation());
      case GroupNormBackward norm -> kernels.norms().fuses(norm.activation());
      case CustomOp custom -> CustomKernels.supports(custom, inputs);
      case LinearGradients _ -> false;
      case Attention _,
          AttentionBackward _,
          Convolution _,
          Creation _,
          DataMovement _,
          ElementWise _,
          Geglu _,
          GegluBackward _,
          LayerNorm _,
          LayerNormBackward _,
          Linear _,
          MatMul _,
          Reduction _,
          Softmax _,
          SoftmaxBackward _,
          View _ ->
          true;
    };
  }

  /** Computes, on these threads. */
  void run(Parallel parallel, Op op, Tensor[] inputs, Tensor[] outputs) {
    Tensor y = outputs[0];
    switch (op) {
      case ElementFunction o -> kernels.elementwise().run(parallel, o, inputs, y);
      case Concat concat -> Movement.concat(parallel, concat.axis(), inputs, y);
      case Copy _, View _ -> Movement.copy(parallel, inputs[0], y);
      case Embedding _ -> Movement.embedding(parallel, inputs[0], inputs[1], y);
      case Fill fill -> Movement.fill(parallel, (float) fill.value(), y);
      case Pad pad -> Movement.pad(parallel, pad.axis(), pad.before(), inputs[0], y);
      case RandomNormal normal -> RandomNumbers.normal(parallel, normal, y);
      case ScatterRows _ -> Movement.scatter(parallel, inputs[0], inputs[1], y);
      case Widen widen -> Movement.widen(parallel, widen, inputs[0], y);
      case UpsampleNearest up -> Movement.upsample(parallel, up.factor(), inputs[0], y);
      case Conv2d o -> kernels.convolution().forward(parallel, o, inputs, outputs);
      case Conv2dInputGradient o ->
          kernels.convolution().inputGradient(parallel, o, inputs, outputs);
      case Conv2dWeightGradient o ->
          kernels.convolution().weightGradient(parallel, o, inputs, outputs);
      case Linear o -> kernels.matrices().linear(parallel, o, inputs, outputs);
      case MatMul o -> kernels.matrices().matMul(parallel, o, inputs, outputs);
      case Attention o -> kernels.attention().forward(parallel, o, inputs, outputs);
      case AttentionBackward o -> kernels.attention().backward(parallel, o, inputs, outputs);
      case FeedForward o ->
          kernels.feedForward().orElseThrow().forward(parallel, o, inputs, outputs);
      case FeedForwardBackward o ->
          kernels.feedForward().orElseThrow().backward(parallel, o, inputs, outputs);
      case Geglu o -> kernels.gates().geglu(parallel, o, inputs, outputs);
      case GegluBackward o -> kernels.gates().gegluBackward(parallel, o, inputs, outputs);
      case Softmax o -> kernels.gates().softmax(parallel, o, inputs, outputs);
      case SoftmaxBackward o -> kernels.gates().softmaxBackward(parallel, o, inputs, outputs);
      case GroupNorm o -> kernels.norms().groupNorm(parallel, o, inputs, outputs);
      case GroupNormBackward o -> kernels.norms().groupNormBackward(parallel, o, inputs, outputs);
      case LayerNorm o -> kernels.norms().layerNorm(parallel, o, inputs, outputs);
      case LayerNormBackward o -> kernels.norms().layerNormBackward(parallel, o, inputs, outputs);
      case AdamW o -> kernels.optimizers().adamW(parallel, o, inputs, outputs);
      case Lerp o -> kernels.optimizers().lerp(parallel, o, inputs, outputs);
      case AveragePool o -> kernels.reductions().averagePool(parallel, o, inputs, outputs);
      case EuclideanNorm _ -> kernels.reductions().norm(parallel, inputs[0], y);
      case GaussianLogProb o -> kernels.reductions().gaussianLogProb(parallel, o, inputs, outputs);
      case Reduce o -> kernels.reductions().reduce(parallel, o, inputs, outputs);
      case CustomOp o -> CustomKernels.run(parallel, o, inputs, outputs);
      case LinearGradients _ -> throw new IllegalStateException(op.name() + " is decomposed");
    }
  }
}
