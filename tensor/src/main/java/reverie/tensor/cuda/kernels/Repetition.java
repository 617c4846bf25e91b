// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import reverie.tensor.Storage;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.op.Attention;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Concat;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Copy;
import reverie.tensor.op.Op;
import reverie.tensor.spi.Step;

/**
 * Spares copies of rows that are repeated for several predictions of a sample, where kernels can
 * read the same row several times: keys and values whose first row is for all images that have none
 * of their own, and biases that begin anew after the last image that has one. Biases of a whole
 * batch are added to those where they are read.
 */
final class Repetition {
  /** Which of fewer rows is read for a row of the result. */
  private enum Order {
    FIRST,
    CYCLE;

    long row(int row, int rows, int all) {
      return this == FIRST ? Math.max(0, row - (all - rows)) : row % rows;
    }
  }

  private final Abilities abilities;
  private final Map<Storage, Integer> writers = new HashMap<>();
  private final Map<Storage, Tensor> whole = new HashMap<>();
  private final Map<Storage, Tensor> copied = new HashMap<>();
  private final Map<Storage, Step> joined = new HashMap<>();
  private final Map<Storage, Step> added = new HashMap<>();

  private Repetition(Abilities abilities, List<Step> steps) {
    this.abilities = abilities;
    for (Step step : steps) {
      for (Tensor y : step.outputs()) {
        writers.merge(y.storage(), 1, Integer::sum);
        if (isWhole(y)) {
          whole.put(y.storage(), y);
        }
      }
      if (step.op() instanceof Copy) {
        copied.put(step.outputs()[0].storage(), step.inputs()[0]);
      } else if (step.op() instanceof Concat concat && concat.axis() == 0) {
        joined.put(step.outputs()[0].storage(), step);
      } else if (step.op() instanceof Binary(Binary.Kind kind) && kind == Binary.Kind.ADD) {
        added.put(step.outputs()[0].storage(), step);
      }
    }
  }

  /**
   * The same steps without those that only repeated.
   *
   * @param kept what is read after the last step
   */
  static List<Step> of(Abilities abilities, List<Step> steps, Set<Storage> kept) {
    Repetition repetition = new Repetition(abilities, steps);
    Set<Storage> read = new HashSet<>(kept);
    LinkedList<Step> needed = new LinkedList<>();
    for (Step step : steps.reversed()) {
      Storage y = step.outputs()[0].storage();
      boolean repeats =
          repetition.joined.get(y) == step
              || repetition.added.get(y) == step
              || repetition.copied.containsKey(y);
      if (!repeats || read.contains(y) || !repetition.isFinal(y)) {
        Step spared = repetition.spared(step);
        Stream.of(spared.inputs()).map(Tensor::storage).forEach(read::add);
        needed.addFirst(spared);
      }
    }
    return List.copyOf(needed);
  }

  private static boolean isWhole(Tensor x) {
    return x.storage().isMeta() && x.offset() == 0 && x.type().bytes() == x.storage().bytes();
  }

  /** Whether it is written once, before all that reads it. */
  private boolean isFinal(Storage storage) {
    return storage.isMeta() && writers.getOrDefault(storage, 0) == 1;
  }

  private Step spared(Step step) {
    Op op = step.op();
    Tensor[] inputs = step.inputs().clone();
    if (op instanceof Attention attention && abilities.sharesKeys(attention, step)) {
      // Both of the same images.
      Tensor keys = source(inputs[1], Order.FIRST);
      Tensor values = source(inputs[2], Order.FIRST);
      if (keys != null && values != null && keys.dim(0) == values.dim(0)) {
        inputs[1] = keys;
        inputs[2] = values;
      }
    } else if (op instanceof Conv2d && inputs.length > 2 && inputs[2].shape().rank() == 2) {
      return biased(step);
    }
    return Arrays.equals(inputs, step.inputs()) ? step : arranged(step, inputs, false);
  }

  private static Step arranged(Step step, Tensor[] inputs, boolean shifted) {
    List<TensorType> types = Arrays.stream(step.outputs()).map(Tensor::type).toList();
    Arranged arranged = new Arranged(step.op(), false, shifted, types);
    return new Step(arranged, inputs, step.outputs(), step.scratchBytes());
  }

  /** A convolution with a bias for each image. */
  private Step biased(Step step) {
    Tensor[] inputs = step.inputs().clone();
    Tensor common = null;
    Step sum = added.get(inputs[2].storage());
    if (sum != null && isFinal(inputs[2].storage()) && isWhole(inputs[2])) {
      int vector = sum.inputs()[0].shape().rank() == 1 ? 0 : 1;
      Tensor each = sum.inputs()[1 - vector];
      if (isFixed(sum.inputs()[vector])
          && isFinal(each.storage())
          && isWhole(each)
          && each.shape().equals(inputs[2].shape())) {
        common = sum.inputs()[vector];
        inputs[2] = each;
      }
    }
    Tensor source = source(inputs[2], Order.CYCLE);
    inputs[2] = source == null ? inputs[2] : source;
    if (common == null) {
      return source == null ? step : arranged(step, inputs, false);
    }
    Tensor[] all = Arrays.copyOf(inputs, inputs.length + 1);
    all[inputs.length] = common;
    return arranged(step, all, true);
  }

  /** Whether it is a vector that was there before and does not change. */
  private boolean isFixed(Tensor x) {
    return x.shape().rank() == 1
        && x.isContiguous()
        && !x.storage().isMeta()
        && !writers.containsKey(x.storage());
  }

  /** What of fewer rows says the same in this order; null if nothing does. */
  private Tensor source(Tensor y, Order order) {
    Step step = joined.get(y.storage());
    if (step == null || !isFinal(y.storage()) || !y.layout().isContiguous() || !isWhole(y)) {
      return null;
    }
    List<Tensor> rows = new ArrayList<>();
    for (Tensor part : step.inputs()) {
      Tensor original = copied.get(part.storage());
      boolean copy = original != null && isFinal(part.storage()) && isWhole(part);
      rows.add(copy ? original : part);
    }
    Tensor source = whole.get(rows.getFirst().storage());
    if (source == null
        || !isFinal(source.storage())
        || !source.shape().with(0, y.dim(0)).equals(y.shape())) {
      return null;
    }
    int row = 0;
    for (Tensor part : rows) {
      if (part.storage() != source.storage() || !isContiguousInside(part)) {
        return null;
      }
      for (int i = 0; i < part.dim(0); i++, row++) {
        long expected = order.row(row, source.dim(0), y.dim(0)) * source.stride(0);
        if (part.offset() + (long) i * part.stride(0) != expected) {
          return null;
        }
      }
    }
    return source;
  }

  /** Whether each row lies in row-major order. */
  private static boolean isContiguousInside(Tensor x) {
    int[] expected = x.shape().contiguousStrides();
    for (int axis = 1; axis < expected.length; axis++) {
      if (x.dim(axis) > 1 && x.stride(axis) != expected[axis]) {
        return false;
      }
    }
    return true;
  }
}
