// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Blas;
import reverie.tensor.cuda.driver.Dnn;
import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.cuda.driver.Pool;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;
import reverie.tensor.op.AveragePool;
import reverie.tensor.op.Concat;
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
import reverie.tensor.op.Linear;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;
import reverie.tensor.op.Pad;
import reverie.tensor.op.ParameterUpdate;
import reverie.tensor.op.RandomNormal;
import reverie.tensor.op.Reduce;
import reverie.tensor.op.Reduction;
import reverie.tensor.op.ScatterRows;
import reverie.tensor.op.Softmax;
import reverie.tensor.op.SoftmaxBackward;
import reverie.tensor.op.UpsampleNearest;
import reverie.tensor.op.View;
import reverie.tensor.op.Widen;
import reverie.tensor.spi.Buffer;
import reverie.tensor.spi.Call;

/** Which kernels, of ours and of NVIDIA's libraries, carry out an operation. */
public final class Operations {
  private final Elements elements;
  private final Moves moves;
  private final Reductions reductions;
  private final Norms norms;
  private final Attentions attentions;
  private final Products products;
  private final Convolutions convolutions;
  private final Rehearsal rehearsal;
  private final PreparedWeights weights;
  private final Updates updates;

  /**
   * Kernels on the stream of a device.
   *
   * @param pool its memory
   */
  public Operations(Driver driver, Blas blas, Dnn dnn, Pool pool, Precision precision) {
    rehearsal = new Rehearsal(pool);
    Kernels kernels = new Kernels(driver, rehearsal);
    elements = new Elements(kernels);
    moves = new Moves(kernels);
    reductions = new Reductions(kernels);
    norms = new Norms(kernels);
    attentions = new Attentions(kernels, precision);
    products = new Products(blas, rehearsal, elements, precision);
    weights = new PreparedWeights(pool, moves);
    convolutions = new Convolutions(dnn, rehearsal, products, elements, moves, weights, precision);
    updates = new Updates(driver, kernels, pool);
  }

  /** Whether {@link #run} knows an operation on these inputs. */
  public boolean supports(Op op, Tensor[] inputs) {
    return switch (op) {
      case CustomOp _, FeedForwardBackward _ -> false;
      case Attention attention -> Attentions.fits(attention.heads(), inputs);
      case AttentionBackward attention -> Attentions.fits(attention.heads(), inputs);
      case Convolution _,
          Creation _,
          DataMovement _,
          ElementWise _,
          FeedForward _,
          Geglu _,
          GegluBackward _,
          GroupNorm _,
          GroupNormBackward _,
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

  /** Bytes of working memory that {@link #run} needs. */
  public long scratchBytes(Op op, Tensor[] inputs, Tensor[] outputs) {
    return switch (op) {
      case Attention attention -> attentions.scratchBytes(attention, inputs);
      case AttentionBackward attention -> attentions.scratchBytes(attention, inputs);
      case Convolution convolution -> convolutions.scratchBytes(convolution, inputs, outputs[0]);
      case EuclideanNorm _ -> reductions.normScratchBytes(inputs[0]);
      case GaussianLogProb density -> reductions.scratchBytes(density, inputs);
      case GroupNorm norm -> norms.scratchBytes(norm, inputs);
      case GroupNormBackward norm -> norms.scratchBytes(norm, inputs);
      case LayerNormBackward norm -> norms.scratchBytes(norm, inputs);
      case FeedForward network -> Products.scratchBytes(network, inputs, outputs[0]);
      case Linear linear -> Products.scratchBytes(linear, inputs, outputs[0]);
      case MatMul product -> Products.scratchBytes(product, inputs, outputs[0]);
      case Reduce reduce -> reductions.scratchBytes(reduce, inputs);
      case AveragePool _,
          Creation _,
          CustomOp _,
          DataMovement _,
          ElementWise _,
          FeedForwardBackward _,
          Geglu _,
          GegluBackward _,
          LayerNorm _,
          Softmax _,
          SoftmaxBackward _,
          View _ ->
          0;
    };
  }

  /** Has the device compute. */
  public void run(Op op, Tensor[] inputs, Tensor[] outputs, Buffer scratch) {
    launch(op, inputs, outputs, scratch);
    for (Tensor y : outputs) {
      long from = Pool.address(y);
      written(from, from + y.size() * y.dtype().bytes());
    }
  }

  /** Prepares operations for a graph; outside a capture. */
  public Program program(List<Call> calls) {
    return new Program(this, updates, weights, calls);
  }

  /** Records that memory from one address to before another has other values now. */
  public void written(long from, long to) {
    weights.written(from, to);
  }

  /** For people: how each convolution that was asked for is computed. */
  public List<String> convolutions() {
    return convolutions.describe();
  }

  Rehearsal rehearsal() {
    return rehearsal;
  }

  void launch(Op op, Tensor[] inputs, Tensor[] outputs, Buffer scratch) {
    Space space = new Space(scratch);
    Tensor y = outputs[0];
    switch (op) {
      case ElementFunction function -> elements.run(function, inputs, y);
      case Copy _, View _ -> elements.copy(inputs[0], y);
      case Fill fill -> elements.fill(fill.value(), y);
      case ParameterUpdate update -> updates.run(update, inputs, outputs);
      case Geglu _ -> elements.geglu(inputs[0], y);
      case GegluBackward _ -> elements.gegluBackward(inputs[0], inputs[1], y);
      case Convolution convolution -> convolutions.run(convolution, inputs, y, space);
      case FeedForward _ -> products.feedForward(inputs, y, space);
      case Linear _ -> products.linear(inputs, y, space);
      case MatMul _ -> products.matmul(inputs[0], inputs[1], y, space);
      case Concat concat -> moves.concat(concat.axis(), inputs, y);
      case Pad pad -> moves.pad(pad, inputs[0], y);
      case Embedding _ -> moves.embedding(inputs[0], inputs[1], y);
      case ScatterRows _ -> moves.scatterRows(inputs[0], inputs[1], y);
      case RandomNormal normal -> moves.randomNormal(normal, y);
      case AveragePool average -> moves.averagePool(average.factor(), inputs[0], y);
      case UpsampleNearest upsample -> moves.upsample(upsample.factor(), inputs[0], y);
      case Widen widen -> moves.widen(widen, inputs[0], y);
      case Reduce reduce -> reductions.reduce(reduce, inputs[0], y, space);
      case Softmax _ -> reductions.softmax(inputs[0], y);
      case SoftmaxBackward _ -> reductions.softmaxBackward(inputs[0], inputs[1], y);
      case EuclideanNorm _ -> reductions.norm(inputs[0], y, space);
      case GaussianLogProb _ -> reductions.gaussianLogProb(inputs, y, space);
      case GroupNorm norm -> norms.groupNorm(norm, inputs, outputs, space);
      case GroupNormBackward norm -> norms.groupNormBackward(norm, inputs, outputs, space);
      case LayerNorm norm -> norms.layerNorm(norm, inputs, outputs);
      case LayerNormBackward _ -> norms.layerNormBackward(inputs, outputs, space);
      case Attention attention -> attentions.forward(attention, inputs, outputs, space);
      case AttentionBackward attention -> attentions.backward(attention, inputs, outputs, space);
      case CustomOp _, FeedForwardBackward _ ->
          throw new IllegalStateException(op.name() + " is decomposed");
    }
  }
}
