// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

import java.util.ArrayList;
import java.util.List;
import reverie.tensor.DType;
import reverie.tensor.Shape;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Affine;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;
import reverie.tensor.op.AveragePool;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Clamp;
import reverie.tensor.op.Concat;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.Copy;
import reverie.tensor.op.CustomOp;
import reverie.tensor.op.Embedding;
import reverie.tensor.op.Expand;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.FeedForwardBackward;
import reverie.tensor.op.Fill;
import reverie.tensor.op.GaussianLogProb;
import reverie.tensor.op.Geglu;
import reverie.tensor.op.GegluBackward;
import reverie.tensor.op.GeluBackward;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.LayerNormBackward;
import reverie.tensor.op.Lerp;
import reverie.tensor.op.Linear;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;
import reverie.tensor.op.Pad;
import reverie.tensor.op.Permute;
import reverie.tensor.op.Power;
import reverie.tensor.op.RandomNormal;
import reverie.tensor.op.Reduce;
import reverie.tensor.op.Reshape;
import reverie.tensor.op.RoundTo;
import reverie.tensor.op.ScatterRows;
import reverie.tensor.op.Select;
import reverie.tensor.op.SiluBackward;
import reverie.tensor.op.Slice;
import reverie.tensor.op.Softmax;
import reverie.tensor.op.SoftmaxBackward;
import reverie.tensor.op.Unary;
import reverie.tensor.op.UpsampleNearest;

/**
 * Right and wrong uses of every operation: what conformance tests, gradient checks, benchmarks and
 * documentation go through. An operation without an entry does not compile; one without a prototype
 * fails the catalogue's test.
 */
public final class OpCatalog {
  private OpCatalog() {}

  /** The samples of all operations. */
  public static List<Sample> samples() {
    return prototypes().stream().flatMap(op -> entry(op).samples().stream()).toList();
  }

  /** One of each operation, and of each kind where there are kinds; the attributes mean nothing. */
  public static List<Op> prototypes() {
    List<Op> all = new ArrayList<>();
    for (Unary.Kind kind : Unary.Kind.values()) {
      all.add(new Unary(kind));
    }
    for (Binary.Kind kind : Binary.Kind.values()) {
      all.add(new Binary(kind));
    }
    for (Reduce.Kind kind : Reduce.Kind.values()) {
      all.add(new Reduce(kind));
    }
    Shape scalar = Shape.of();
    all.addAll(
        List.of(
            new AdamW(0, 0, 0, 0),
            new Affine(1, 0),
            new Attention(1, 1),
            new AttentionBackward(1, 1),
            new AveragePool(1),
            new Clamp(0, 0),
            new Concat(0),
            new Conv2d(1, 0),
            new Conv2dInputGradient(1, 0, 1, 1),
            new Conv2dWeightGradient(1, 0, 1, 1),
            new Copy(),
            new Embedding(),
            new Expand(scalar),
            new FeedForward(),
            new FeedForwardBackward(),
            new Fill(0, scalar),
            new GaussianLogProb(),
            new Geglu(),
            new GegluBackward(),
            new GeluBackward(),
            new GroupNorm(1, 1),
            new GroupNormBackward(1),
            new LayerNorm(1),
            new LayerNormBackward(),
            new Lerp(),
            new Linear(),
            new MatMul(),
            new Pad(0, 0, 0),
            new Permute(),
            new Power(1),
            new RandomNormal(new long[1], new long[1], Shape.of(1)),
            new Reshape(scalar),
            new RoundTo(DType.BF16),
            new ScatterRows(1),
            new Select(),
            new SiluBackward(),
            new Slice(0, 0, 0),
            new Softmax(),
            new SoftmaxBackward(),
            new UpsampleNearest(1)));
    return all;
  }

  /** The entry of an operation; its attributes do not matter, but for the kind. */
  public static Entry entry(Op op) {
    return switch (op) {
      case AdamW _ -> ElementSamples.adamW();
      case Affine _ -> ElementSamples.affine();
      case Attention _ -> AttentionSamples.attention();
      case AttentionBackward _ -> AttentionSamples.attentionBackward();
      case AveragePool _ -> LayerSamples.averagePool();
      case Binary b -> ElementSamples.binary(b.kind());
      case Clamp _ -> ElementSamples.clamp();
      case Concat _ -> MoveSamples.concat();
      case Conv2d _ -> ProductSamples.conv2d();
      case Conv2dInputGradient _ -> ProductSamples.conv2dInputGradient();
      case Conv2dWeightGradient _ -> ProductSamples.conv2dWeightGradient();
      case Copy _ -> MoveSamples.copy();
      case CustomOp _ -> new Entry();
      case Embedding _ -> MoveSamples.embedding();
      case Expand _ -> MoveSamples.expand();
      case FeedForward _ -> ProductSamples.feedForward();
      case FeedForwardBackward _ -> ProductSamples.feedForwardBackward();
      case Fill _ -> MoveSamples.fill();
      case GaussianLogProb _ -> LayerSamples.gaussianLogProb();
      case Geglu _ -> LayerSamples.geglu();
      case GegluBackward _ -> LayerSamples.gegluBackward();
      case GeluBackward _ -> ElementSamples.geluBackward();
      case GroupNorm _ -> LayerSamples.groupNorm();
      case GroupNormBackward _ -> LayerSamples.groupNormBackward();
      case LayerNorm _ -> LayerSamples.layerNorm();
      case LayerNormBackward _ -> LayerSamples.layerNormBackward();
      case Lerp _ -> ElementSamples.lerp();
      case Linear _ -> ProductSamples.linear();
      case MatMul _ -> ProductSamples.matmul();
      case Pad _ -> MoveSamples.pad();
      case Permute _ -> MoveSamples.permute();
      case Power _ -> ElementSamples.power();
      case RandomNormal _ -> MoveSamples.randomNormal();
      case Reduce r -> MoveSamples.reduce(r.kind());
      case Reshape _ -> MoveSamples.reshape();
      case RoundTo _ -> ElementSamples.roundTo();
      case ScatterRows _ -> MoveSamples.scatterRows();
      case Select _ -> ElementSamples.select();
      case SiluBackward _ -> ElementSamples.siluBackward();
      case Slice _ -> MoveSamples.slice();
      case Softmax _ -> LayerSamples.softmax();
      case SoftmaxBackward _ -> LayerSamples.softmaxBackward();
      case Unary u -> ElementSamples.unary(u.kind());
      case UpsampleNearest _ -> LayerSamples.upsampleNearest();
    };
  }
}
