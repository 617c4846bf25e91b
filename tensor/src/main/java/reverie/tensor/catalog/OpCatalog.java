// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

import java.lang.reflect.Constructor;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
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
import reverie.tensor.op.EuclideanNorm;
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
import reverie.tensor.op.LinearGradients;
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
import reverie.tensor.op.Widen;

/**
 * Right and wrong uses of every operation: what conformance tests, gradient checks, benchmarks and
 * documentation go through. An operation without an entry does not compile.
 */
public final class OpCatalog {
  private OpCatalog() {}

  /** The samples of all operations. */
  public static List<Sample> samples() {
    return prototypes().stream().flatMap(op -> entry(op).samples().stream()).toList();
  }

  /** One of each operation, and of each kind where there are kinds; the attributes mean nothing. */
  public static List<Op> prototypes() {
    Map<String, Op> byName = new LinkedHashMap<>();
    records(Op.class)
        .forEach(type -> instances(type).forEach(op -> byName.putIfAbsent(op.name(), op)));
    return List.copyOf(byName.values());
  }

  /**
   * The records under a sealed type, each once; operations of users are open and not among them.
   */
  private static Stream<Class<?>> records(Class<?> type) {
    if (type.isRecord()) {
      return Stream.of(type);
    }
    return type.isSealed()
        ? Stream.of(type.getPermittedSubclasses()).flatMap(OpCatalog::records).distinct()
        : Stream.empty();
  }

  /** One for each constant of an enum among the attributes. */
  private static List<Op> instances(Class<?> type) {
    RecordComponent[] components = type.getRecordComponents();
    List<Object[]> all = new ArrayList<>();
    all.add(new Object[components.length]);
    for (int i = 0; i < components.length; i++) {
      int at = i;
      List<?> values = values(components[i].getType());
      all =
          all.stream()
              .flatMap(attributes ->
                  values.stream()
                      .map(value -> {
                        Object[] copy = attributes.clone();
                        copy[at] = value;
                        return copy;
                      }))
              .toList();
    }
    try {
      Class<?>[] types =
          Stream.of(components).map(RecordComponent::getType).toArray(Class<?>[]::new);
      Constructor<?> constructor = type.getDeclaredConstructor(types);
      List<Op> made = new ArrayList<>();
      for (Object[] attributes : all) {
        made.add((Op) constructor.newInstance(attributes));
      }
      return made;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(type + " cannot be made of ones", e);
    }
  }

  private static List<?> values(Class<?> type) {
    if (type == DType.class) {
      return List.of(DType.BF16);
    }
    if (type.isEnum()) {
      return List.of(type.getEnumConstants());
    }
    return List.of(
        switch (type.getSimpleName()) {
          case "int" -> 1;
          case "double" -> 1.0;
          case "boolean" -> false;
          case "int[]" -> new int[0];
          case "long[]" -> new long[1];
          case "Shape" -> Shape.of(1);
          default -> throw new IllegalStateException("an attribute of type " + type);
        });
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
      case EuclideanNorm _ -> MoveSamples.euclideanNorm();
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
      case LinearGradients _ -> ProductSamples.linearGradients();
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
      case Widen _ -> MoveSamples.widen();
    };
  }
}
