// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import reverie.tensor.Layout;
import reverie.tensor.Storage;
import reverie.tensor.Tensor;
import reverie.tensor.op.Copy;
import reverie.tensor.spi.Step;

/**
 * Spares a captured step its last copies: a result that is copied to a tensor that was there before
 * is computed where that one lies, if the step touches that memory by nothing else.
 *
 * <p>In a training step these are the gradients, which are written where they are added up.
 */
final class CopyElision {
  /** To a multiple of so many bytes: elsewhere kernels are slower, or need working memory. */
  private static final int ALIGNMENT = 16;

  private final Set<Storage> read = new HashSet<>();
  private final Map<Storage, List<Tensor>> written = new HashMap<>();
  private final Map<Storage, Integer> lastWrites = new HashMap<>();
  private final Set<Storage> kept;

  private CopyElision(List<Step> steps, Set<Storage> kept) {
    this.kept = kept;
    for (int i = 0; i < steps.size(); i++) {
      Stream.of(steps.get(i).inputs()).map(Tensor::storage).forEach(read::add);
      for (Tensor y : steps.get(i).outputs()) {
        written.computeIfAbsent(y.storage(), _ -> new ArrayList<>()).add(y);
        lastWrites.put(y.storage(), i);
      }
    }
  }

  /**
   * The steps without copies that nobody needs.
   *
   * @param kept memory that is read after the last step
   */
  static List<Step> of(List<Step> steps, Set<Storage> kept) {
    return new CopyElision(steps, kept).elided(steps);
  }

  private List<Step> elided(List<Step> steps) {
    Map<Storage, Tensor> places = new HashMap<>();
    Set<Step> spared = new HashSet<>();
    for (int i = 0; i < steps.size(); i++) {
      Step step = steps.get(i);
      if (step.op() instanceof Copy) {
        Storage made = step.inputs()[0].storage();
        if (isSpared(step, i) && places.putIfAbsent(made, step.outputs()[0]) == null) {
          spared.add(step);
        }
      }
    }
    return steps.stream()
        .filter(step -> !spared.contains(step))
        .map(step ->
            new Step(
                step.op(),
                placed(step.inputs(), places),
                placed(step.outputs(), places),
                step.scratchBytes()))
        .toList();
  }

  private boolean isSpared(Step copy, int index) {
    Tensor x = copy.inputs()[0];
    Tensor y = copy.outputs()[0];
    boolean whole = x.offset() == 0 && x.isContiguous() && x.type().bytes() == x.storage().bytes();
    return x.storage().isMeta()
        && whole
        && !kept.contains(x.storage())
        && lastWrites.get(x.storage()) < index
        && !y.storage().isMeta()
        && y.type().equals(x.type())
        && y.offset() * y.dtype().bytes() % ALIGNMENT == 0
        && !read.contains(y.storage())
        && written.get(y.storage()).stream().filter(other -> overlap(other, y)).count() == 1;
  }

  /** Of two contiguous tensors in the same memory. */
  private static boolean overlap(Tensor a, Tensor b) {
    return a.offset() < b.offset() + b.size() && b.offset() < a.offset() + a.size();
  }

  private static Tensor[] placed(Tensor[] tensors, Map<Storage, Tensor> places) {
    return Stream.of(tensors).map(t -> placed(t, places.get(t.storage()))).toArray(Tensor[]::new);
  }

  private static Tensor placed(Tensor t, Tensor place) {
    return place == null
        ? t
        : t.with(place.storage(), new Layout(t.shape(), t.strides(), place.offset() + t.offset()));
  }
}
