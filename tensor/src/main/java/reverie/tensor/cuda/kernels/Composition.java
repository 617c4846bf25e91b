// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import reverie.tensor.DType;
import reverie.tensor.Layout;
import reverie.tensor.Shape;
import reverie.tensor.Storage;
import reverie.tensor.Tensor;
import reverie.tensor.op.ElementFunction;
import reverie.tensor.spi.Step;

/**
 * Makes one pass of functions of single elements that come one after another and give tensors of
 * the same shape. What only they read of each other is never written.
 */
final class Composition {
  private final Map<Storage, Integer> writers = new HashMap<>();
  private final Map<Storage, Step> lastReaders = new HashMap<>();
  private final Set<Storage> kept;

  private Composition(List<Step> steps, Set<Storage> kept) {
    this.kept = kept;
    for (Step step : steps) {
      Stream.of(step.outputs()).forEach(y -> writers.merge(y.storage(), 1, Integer::sum));
      Stream.of(step.inputs()).forEach(x -> lastReaders.put(x.storage(), step));
    }
  }

  /**
   * The same steps in fewer passes.
   *
   * @param kept what is read after the last step
   */
  static List<Step> of(List<Step> steps, Set<Storage> kept) {
    return new Composition(steps, kept).composed(steps);
  }

  private List<Step> composed(List<Step> steps) {
    List<Step> composed = new ArrayList<>();
    int end;
    for (int from = 0; from < steps.size(); from = end) {
      end = from + 1;
      while (end < steps.size() && isOnePass(steps.subList(from, end + 1))) {
        end++;
      }
      composed.add(end == from + 1 ? steps.get(from) : together(steps.subList(from, end)));
    }
    return composed;
  }

  private boolean isOnePass(List<Step> run) {
    Shape shape = run.getFirst().outputs()[0].shape();
    Set<Storage> made = made(run);
    return run.size() <= Composed.MAX_PARTS
        && run.stream().allMatch(step -> fits(step) && step.outputs()[0].shape().equals(shape))
        && run.stream()
            .flatMap(step -> Stream.of(step.inputs()))
            .allMatch(x -> !made.contains(x.storage()) || isWhole(x) && x.shape().equals(shape))
        && inputs(run).size() <= Composed.MAX_INPUTS
        && Arrays.stream(slots(run)).allMatch(slot -> slot < Composed.SLOTS);
  }

  private boolean fits(Step step) {
    Tensor y = step.outputs()[0];
    return step.op() instanceof ElementFunction
        && y.storage().isMeta()
        && writers.get(y.storage()) == 1
        && isWhole(y)
        && y.size() > 0
        && Stream.of(step.inputs()).allMatch(x -> x.dtype() == DType.F32);
  }

  private static boolean isWhole(Tensor x) {
    return x.offset() == 0 && x.isContiguous() && x.type().bytes() == x.storage().bytes();
  }

  private static Set<Storage> made(List<Step> run) {
    return run.stream().map(step -> step.outputs()[0].storage()).collect(Collectors.toSet());
  }

  /** What a tensor is, whichever object stands for it. */
  private record Place(Storage storage, Layout layout) {
    static Place of(Tensor x) {
      return new Place(x.storage(), x.layout());
    }
  }

  /** What a pass reads, each once. */
  private static List<Tensor> inputs(List<Step> run) {
    Set<Storage> made = made(run);
    Set<Place> places = new HashSet<>();
    return run.stream()
        .flatMap(step -> Stream.of(step.inputs()))
        .filter(x -> !made.contains(x.storage()) && places.add(Place.of(x)))
        .toList();
  }

  /** Where each result is held until the last of the pass has read it; −1 if none does. */
  private static int[] slots(List<Step> run) {
    int[] slots = new int[run.size()];
    int[] last = new int[run.size()];
    BitSet taken = new BitSet();
    for (int i = 0; i < slots.length; i++) {
      for (int maker = 0; maker < i; maker++) {
        if (last[maker] == i) {
          taken.clear(slots[maker]);
        }
      }
      last[i] = lastReader(run, i);
      slots[i] = last[i] < 0 ? -1 : taken.nextClearBit(0);
      if (slots[i] >= 0) {
        taken.set(slots[i]);
      }
    }
    return slots;
  }

  private static int lastReader(List<Step> run, int maker) {
    Storage y = run.get(maker).outputs()[0].storage();
    for (int i = run.size() - 1; i > maker; i--) {
      if (Stream.of(run.get(i).inputs()).anyMatch(x -> x.storage() == y)) {
        return i;
      }
    }
    return -1;
  }

  private Step together(List<Step> run) {
    List<Tensor> inputs = inputs(run);
    Map<Place, Integer> operands = new HashMap<>();
    for (Tensor x : inputs) {
      operands.put(Place.of(x), Composed.SLOTS + operands.size());
    }
    int[] slots = slots(run);
    List<Tensor> outputs = new ArrayList<>();
    List<Composed.Part> parts = new ArrayList<>();
    for (int i = 0; i < slots.length; i++) {
      Step step = run.get(i);
      Tensor y = step.outputs()[0];
      List<Integer> own = Stream.of(step.inputs()).map(x -> operands.get(Place.of(x))).toList();
      operands.put(Place.of(y), slots[i]);
      boolean read = kept.contains(y.storage()) || !run.contains(lastReaders.get(y.storage()));
      parts.add(
          new Composed.Part(
              (ElementFunction) step.op(), own, slots[i], read ? outputs.size() : -1));
      if (read) {
        outputs.add(y);
      }
    }
    Composed op = new Composed(parts, outputs.stream().map(Tensor::type).toList());
    return new Step(op, inputs.toArray(Tensor[]::new), outputs.toArray(Tensor[]::new), 0);
  }
}
