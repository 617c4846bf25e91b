// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import reverie.tensor.Layout;
import reverie.tensor.Shape;
import reverie.tensor.Storage;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.op.Copy;
import reverie.tensor.spi.Step;

/**
 * Makes one product of linear layers that read the same: queries, keys and values; keys and values
 * of a context in all blocks; what all blocks look at of the time. Their results are columns of one
 * tensor, copied for those who do not take rows with gaps between them. Who reads them makes no
 * difference to which layers are joined, so that a layer has the same bits with and without
 * gradients.
 */
final class Joining {
  /** Elements of bfloat16 in 16 bytes, to multiples of which operands are aligned. */
  private static final int ALIGNED = 8;

  private final Abilities abilities;
  private final Map<Storage, Integer> writers = new HashMap<>();

  /** What is read by something that takes no gaps, or after the last step. */
  private final Set<Storage> whole;

  private final Map<Storage, Layout> layouts = new HashMap<>();

  /** What layers of one product have in common: x, and whether they have biases. */
  private record Common(Storage storage, long offset, Shape shape, boolean biased) {}

  private Joining(Abilities abilities, List<Step> steps, Set<Storage> kept) {
    this.abilities = abilities;
    whole = new HashSet<>(kept);
    for (Step step : steps) {
      for (Tensor y : step.outputs()) {
        writers.merge(y.storage(), 1, Integer::sum);
        layouts.putIfAbsent(y.storage(), y.layout());
      }
      for (int i = 0; i < step.inputs().length; i++) {
        if (!takesColumns(step, i)) {
          whole.add(step.inputs()[i].storage());
        }
      }
    }
  }

  private boolean takesColumns(Step step, int input) {
    Tensor x = step.inputs()[input];
    return abilities.of(step).gaps().contains(input) && x.layout().equals(layouts.get(x.storage()));
  }

  /** The same steps with fewer products. */
  static List<Step> of(Abilities abilities, List<Step> steps, Set<Storage> kept) {
    return new Joining(abilities, steps, kept).joined(steps);
  }

  private List<Step> joined(List<Step> steps) {
    Map<Common, List<Step>> groups = new LinkedHashMap<>();
    for (Step step : steps) {
      if (joins(step)) {
        Tensor x = step.inputs()[0];
        Common common = new Common(x.storage(), x.offset(), x.shape(), step.inputs().length > 2);
        groups.computeIfAbsent(common, _ -> new ArrayList<>()).add(step);
      }
    }
    groups.values().removeIf(group -> group.size() < 2);
    Map<Step, List<Step>> first = new HashMap<>();
    Set<Step> spared = new HashSet<>();
    Map<Storage, Tensor> columns = new HashMap<>();
    for (List<Step> group : groups.values()) {
      first.put(group.getFirst(), together(group, columns));
      spared.addAll(group);
    }
    List<Step> joined = new ArrayList<>();
    for (Step step : steps) {
      if (first.containsKey(step)) {
        joined.addAll(first.get(step));
      } else if (!spared.contains(step)) {
        joined.add(reading(step, columns));
      }
    }
    return joined;
  }

  private boolean joins(Step step) {
    if (!abilities.joins(step)) {
      return false;
    }
    Storage y = step.outputs()[0].storage();
    Storage x = step.inputs()[0].storage();
    boolean fixed =
        Stream.of(step.inputs())
            .skip(1)
            .map(Tensor::storage)
            .allMatch(w -> !w.isMeta() && !writers.containsKey(w));
    return fixed
        && step.inputs()[1].dim(0) % ALIGNED == 0
        && y.isMeta()
        && writers.get(y) == 1
        && writers.getOrDefault(x, 0) == (x.isMeta() ? 1 : 0);
  }

  /** One step for several, copies of its result, and which columns of it are whose. */
  private List<Step> together(List<Step> group, Map<Storage, Tensor> columns) {
    boolean biased = group.getFirst().inputs().length > 2;
    Tensor x = group.getFirst().inputs()[0];
    Tensor[] inputs =
        Stream.of(
                Stream.of(x),
                group.stream().map(step -> step.inputs()[1]),
                group.stream().filter(_ -> biased).map(step -> step.inputs()[2]))
            .flatMap(tensors -> tensors)
            .toArray(Tensor[]::new);
    JoinedLayers op = new JoinedLayers(group.size(), biased);
    TensorType type = op.infer(Stream.of(inputs).map(Tensor::type).toList()).getFirst();
    Storage storage = Storage.meta(type.bytes());
    int[] strides = type.shape().contiguousStrides();
    Tensor result = x.with(storage, Layout.contiguous(type.shape()));
    List<Step> made = new ArrayList<>();
    made.add(new Step(op, inputs, new Tensor[] {result}, 0));
    int from = 0;
    for (Step step : group) {
      Tensor y = step.outputs()[0];
      Tensor own = y.with(storage, new Layout(y.shape(), strides, from));
      columns.put(y.storage(), own);
      if (whole.contains(y.storage())) {
        made.add(new Step(new Copy(), new Tensor[] {own}, new Tensor[] {y}, 0));
      }
      from += y.dim(-1);
    }
    return made;
  }

  private Step reading(Step step, Map<Storage, Tensor> columns) {
    Tensor[] inputs = step.inputs().clone();
    for (int i = 0; i < inputs.length; i++) {
      Tensor own = columns.get(inputs[i].storage());
      inputs[i] = own != null && takesColumns(step, i) ? own : inputs[i];
    }
    return new Step(step.op(), inputs, step.outputs(), step.scratchBytes());
  }
}
