// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import java.util.List;
import java.util.Set;
import reverie.tensor.Storage;
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
import reverie.tensor.op.LinearGradients;
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
import reverie.tensor.spi.Step;

/** Which kernels, of ours and of NVIDIA's libraries, carry out an operation. */
public final class Operations {
  private final Elements elements;
  private final Moves moves;
  private final Reductions reductions;
  private final Norms norms;
  private final Attentions attentions;
  private final Products products;
  private final FeedForwards feedForwards;
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
    attentions = new Attentions(kernels, new AttentionGraphs(dnn, rehearsal, moves), precision);
    updates = new Updates(driver, kernels, pool);
    weights = new PreparedWeights(pool, moves, updates);
    Staging staging = new Staging(elements, moves, weights);
    products = new Products(blas, rehearsal, elements, staging, weights, precision);
    feedForwards = new FeedForwards(products, elements, staging);
    convolutions =
        new Convolutions(dnn, rehearsal, products, elements, moves, staging, weights, precision);
  }

  /** Whether {@link #run} knows an operation on these inputs. */
  public boolean supports(Op op, Tensor[] inputs) {
    return switch (op) {
      case CustomOp _ -> false;
      case FeedForwardBackward _ -> feedForwards.hasBackward(inputs);
      case LinearGradients _ ->
          products.givesGradients(inputs[0].dim(0), inputs[0].dim(1), inputs[1].dim(1));
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
    return switch (bare(op)) {
      case Attention attention -> attentions.scratchBytes(attention, inputs, outputs);
      case AttentionBackward attention -> attentions.scratchBytes(attention, inputs, outputs);
      case Convolution convolution -> convolutions.scratchBytes(convolution, inputs, outputs[0]);
      case EuclideanNorm _ -> reductions.normScratchBytes(inputs[0]);
      case GaussianLogProb density -> reductions.scratchBytes(density, inputs);
      case GroupNorm norm -> norms.scratchBytes(norm, inputs);
      case GroupNormBackward norm -> norms.scratchBytes(norm, inputs);
      case LayerNormBackward norm -> norms.scratchBytes(norm, inputs);
      case JoinedLayers _ -> products.scratchBytes(inputs[0], outputs[0]);
      case Completed completed ->
          scratchBytes(completed.layer(), Completed.ofLayer(inputs), outputs)
              + scratchBytes(completed.norm(), completed.ofNorm(outputs), outputs);
      case FeedForward network -> feedForwards.scratchBytes(network, inputs, outputs[0]);
      case FeedForwardBackward network -> feedForwards.scratchBytes(network, inputs, outputs);
      case Linear linear -> products.scratchBytes(linear, inputs, outputs[0]);
      case LinearGradients gradients -> products.scratchBytes(gradients, inputs, outputs);
      case MatMul product -> products.scratchBytes(product, inputs, outputs[0]);
      case Reduce reduce -> reductions.scratchBytes(reduce, inputs);
      case AveragePool _,
          Creation _,
          CustomOp _,
          DataMovement _,
          ElementWise _,
          Geglu _,
          GegluBackward _,
          LayerNorm _,
          Softmax _,
          SoftmaxBackward _,
          View _ ->
          0;
    };
  }

  /** The steps of a function that is captured, with fewer launches and less traffic. */
  public List<Step> arrange(List<Step> steps, Set<Storage> kept) {
    Abilities abilities = new Abilities(attentions, products, convolutions);
    List<Step> joined = Joining.of(abilities, Repetition.of(abilities, steps, kept), kept);
    List<Step> deferred = Deferral.of(abilities, joined, kept);
    List<Step> completed = Completion.of(abilities, deferred, kept);
    return Narrowing.of(this, abilities, Composition.of(completed, kept), kept);
  }

  /** What is carried out. */
  static Op bare(Op op) {
    return op instanceof Arranged arranged ? arranged.op() : op;
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

  /** For people: how cuDNN computes each attention that it was asked for. */
  public List<String> attentions() {
    return attentions.describe();
  }

  Rehearsal rehearsal() {
    return rehearsal;
  }

  void launch(Op op, Tensor[] inputs, Tensor[] outputs, Buffer scratch) {
    Space space = new Space(scratch);
    Tensor y = outputs[0];
    switch (bare(op)) {
      case ElementFunction function ->
          elements.run(function, inputs, Result.first(outputs, 1), y.shape());
      case Composed composed -> elements.run(composed, inputs, outputs);
      case Copy _ when Staging.isHalf(y) -> moves.narrow(address(inputs[0]), address(y), y.size());
      case Copy _, View _ -> elements.copy(inputs[0], y);
      case Fill fill -> elements.fill(fill.value(), y);
      case ParameterUpdate update -> updates.run(update, inputs, outputs);
      case Geglu _ -> elements.geglu(inputs[0], y);
      case GegluBackward _ ->
          elements.gegluBackward(inputs[0], inputs[1], Result.first(outputs, 1));
      case Convolution _, FeedForward _, JoinedLayers _, Linear _ ->
          elements.complete(sum(op, inputs, y, space), Result.first(outputs, 1), y);
      case Completed completed -> normalise(completed, inputs, outputs, space);
      case LinearGradients _ -> products.gradients(inputs, outputs, space);
      case MatMul _ -> products.matmul(inputs[0], inputs[1], y, space);
      case Concat concat -> moves.concat(concat.axis(), inputs, Result.first(outputs, 1), y);
      case Pad pad -> moves.pad(pad, inputs[0], y);
      case Embedding _ -> moves.embedding(inputs[0], inputs[1], y);
      case ScatterRows _ -> moves.scatterRows(inputs[0], inputs[1], y);
      case RandomNormal normal -> moves.randomNormal(normal, y);
      case AveragePool average ->
          moves.averagePool(average.factor(), inputs[0], Result.first(outputs, 1), y);
      case UpsampleNearest upsample ->
          moves.upsample(upsample.factor(), inputs[0], Result.first(outputs, 1), y);
      case Widen widen -> moves.widen(widen, inputs[0], y);
      case Reduce reduce -> reductions.reduce(reduce, inputs[0], y, space);
      case Softmax _ -> reductions.softmax(inputs[0], y);
      case SoftmaxBackward _ -> reductions.softmaxBackward(inputs[0], inputs[1], y);
      case EuclideanNorm _ -> reductions.norm(inputs[0], y, space);
      case GaussianLogProb _ -> reductions.gaussianLogProb(inputs, y, space);
      case GroupNorm norm ->
          norms.groupNorm(norm, Source.of(inputs[0]), Completed.parameters(inputs), outputs, space);
      case GroupNormBackward norm -> norms.groupNormBackward(norm, inputs, outputs, space);
      case LayerNorm norm ->
          norms.layerNorm(norm, Source.of(inputs[0]), Completed.parameters(inputs), outputs);
      case LayerNormBackward _ -> norms.layerNormBackward(inputs, outputs, space);
      case Attention attention -> attentions.forward(attention, inputs, outputs, space);
      case AttentionBackward attention -> attentions.backward(attention, inputs, outputs, space);
      case FeedForwardBackward _ -> feedForwards.backward(inputs, outputs, space);
      case CustomOp _ -> throw new IllegalStateException(op.name() + " is decomposed");
    }
  }

  /** What a layer gives, to be completed. */
  private Sum sum(Op op, Tensor[] inputs, Tensor y, Space space) {
    if (op instanceof Arranged arranged) {
      return arranged.with(sum(arranged.op(), arranged.own(inputs), y, space), inputs);
    }
    if (op instanceof Convolution convolution) {
      return convolutions.run(convolution, inputs, y, space);
    }
    if (op instanceof JoinedLayers joined) {
      return products.joined(joined, inputs, y, space);
    }
    return op instanceof FeedForward
        ? feedForwards.forward(inputs, y, space)
        : products.linear(inputs, y, space);
  }

  private void normalise(Completed op, Tensor[] inputs, Tensor[] outputs, Space space) {
    Tensor[] parameters = Completed.parameters(inputs);
    Tensor[] normed = op.ofNorm(outputs);
    Sum sum = sum(op.layer(), Completed.ofLayer(inputs), outputs[0], space);
    Result kept = Result.first(outputs, op.types().size());
    Source source = new Source(sum, outputs[0], op.kept() ? kept : kept.withoutWide());
    if (op.norm() instanceof GroupNorm norm) {
      norms.groupNorm(norm, source, parameters, normed, space);
    } else {
      norms.layerNorm((LayerNorm) op.norm(), source, parameters, normed);
    }
  }
}
