// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import reverie.tensor.Tensor;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;
import reverie.tensor.op.AveragePool;
import reverie.tensor.op.Concat;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Convolution;
import reverie.tensor.op.Copy;
import reverie.tensor.op.Creation;
import reverie.tensor.op.CustomOp;
import reverie.tensor.op.ElementFunction;
import reverie.tensor.op.Embedding;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.FeedForwardBackward;
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
import reverie.tensor.op.Reduction;
import reverie.tensor.op.ScatterRows;
import reverie.tensor.op.Softmax;
import reverie.tensor.op.SoftmaxBackward;
import reverie.tensor.op.UpsampleNearest;
import reverie.tensor.op.View;
import reverie.tensor.op.Widen;
import reverie.tensor.spi.Step;

/** What kernels take and give beyond what the definitions of operations ask for. */
final class Abilities {
  private final Attentions attentions;
  private final Products products;
  private final Convolutions convolutions;

  Abilities(Attentions attentions, Products products, Convolutions convolutions) {
    this.attentions = attentions;
    this.products = products;
    this.convolutions = convolutions;
  }

  /**
   * Of one operation.
   *
   * @param rounded inputs that are rounded to bfloat16 before anything else, so that they may as
   *     well be kept so
   * @param gaps inputs whose rows may lie anywhere
   * @param narrow outputs that can be written as bfloat16
   * @param both whether the first output can be so too, as one output more
   * @param product whether it is a layer that is computed as bfloat16 and then completed
   */
  record Ability(
      Set<Integer> rounded, Set<Integer> gaps, Set<Integer> narrow, boolean both, boolean product) {
    private static final Ability NONE = new Ability(Set.of(), Set.of(), Set.of(), false, false);
    private static final Ability NARROW = new Ability(Set.of(), Set.of(), Set.of(0), false, false);
    private static final Ability BOTH = both(1);

    private static Ability both(int outputs) {
      Set<Integer> narrow = IntStream.range(0, outputs).boxed().collect(Collectors.toSet());
      return new Ability(Set.of(), Set.of(), narrow, true, false);
    }

    private static Ability factors(Set<Integer> rounded) {
      return new Ability(rounded, Set.of(), Set.of(), false, false);
    }
  }

  /** What can be done with this operation on these tensors. */
  Ability of(Step step) {
    Tensor[] inputs = step.inputs();
    Tensor y = step.outputs()[0];
    return switch (Operations.bare(step.op())) {
      case Attention attention -> attention(attention.heads(), inputs, Set.of(0, 1, 2), Set.of(0));
      case AttentionBackward attention ->
          attention(attention.heads(), inputs, Set.of(0, 1, 2, 3, 5), Set.of(0, 1, 2));
      case Completed completed -> completed(completed, step);
      case Composed composed -> Ability.both(composed.types().size());
      case Conv2d conv ->
          layer(
              step,
              convolutions.rounds(conv, inputs, y, 0),
              inputs.length > 2 && inputs[2].shape().rank() == 2 ? Set.of(2) : Set.of());
      case Convolution gradient ->
          Ability.factors(
              IntStream.of(0, 1)
                  .filter(i -> convolutions.rounds(gradient, inputs, y, i))
                  .boxed()
                  .collect(Collectors.toSet()));
      case FeedForward _, Linear _ ->
          layer(step, products.takesHalves(inputs[1]) && y.size() > 0, Set.of());
      case JoinedLayers _ -> layer(step, true, Set.of());
      case FeedForwardBackward _ ->
          Ability.factors(products.takesHalves(inputs[1]) ? Set.of(0, 4) : Set.of());
      case LinearGradients _, MatMul _ ->
          products.takesHalves(inputs) && y.size() > 0
              ? Ability.factors(Set.of(0, 1))
              : Ability.NONE;
      case GroupNorm _, LayerNorm _ -> Ability.NARROW;
      case AveragePool _,
          Concat _,
          ElementFunction _,
          GegluBackward _,
          GroupNormBackward _,
          LayerNormBackward _,
          UpsampleNearest _ ->
          Ability.BOTH;
      case Copy _,
          Creation _,
          CustomOp _,
          Embedding _,
          Geglu _,
          Pad _,
          ParameterUpdate _,
          Reduction _,
          ScatterRows _,
          Softmax _,
          SoftmaxBackward _,
          View _,
          Widen _ ->
          Ability.NONE;
    };
  }

  /** A residual whose bias was deferred is what such a layer computed too. */
  private static Ability layer(Step step, boolean product, Set<Integer> gaps) {
    Set<Integer> rounded = product ? Set.of(0) : Set.of();
    if (product && step.op() instanceof Arranged arranged && arranged.deferred()) {
      rounded = Set.of(0, arranged.own(step.inputs()).length - 1);
    }
    return new Ability(rounded, gaps, Set.of(0), true, product);
  }

  private Ability attention(int heads, Tensor[] inputs, Set<Integer> rounded, Set<Integer> narrow) {
    return attentions.takesHalves(heads, inputs)
        ? new Ability(rounded, Set.of(0, 1, 2), narrow, false, false)
        : Ability.NONE;
  }

  /** The layer's, and of the norm that its result can be written as bfloat16. */
  private Ability completed(Completed op, Step step) {
    Tensor[] inputs = Completed.ofLayer(step.inputs());
    Ability layer = of(new Step(op.layer(), inputs, step.outputs(), 0));
    return new Ability(layer.rounded, layer.gaps, Set.of(1), true, false);
  }

  /** Whether keys and values of several images may be one. */
  boolean sharesKeys(Attention attention, Step step) {
    return attentions.sharesKeys(attention, step.inputs(), step.outputs());
  }

  /** Whether these are one product with others that read the same. */
  boolean joins(Step step) {
    Op op = step.op();
    return op instanceof Linear && step.inputs().length < 4 && of(step).product;
  }
}
