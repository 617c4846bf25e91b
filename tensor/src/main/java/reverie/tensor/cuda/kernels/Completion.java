// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import reverie.tensor.Storage;
import reverie.tensor.Tensor;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.spi.Step;

/** Has norms add the bias and the residual of the layers that they read. */
final class Completion {
  private final Abilities abilities;
  private final Set<Storage> kept;
  private final Map<Storage, Integer> writers = new HashMap<>();
  private final Map<Storage, Integer> readers = new HashMap<>();

  /** The first norm of each piece of memory. */
  private final Map<Storage, Step> norms = new HashMap<>();

  private Completion(Abilities abilities, List<Step> steps, Set<Storage> kept) {
    this.abilities = abilities;
    this.kept = kept;
    for (Step step : steps) {
      Stream.of(step.outputs()).forEach(y -> writers.merge(y.storage(), 1, Integer::sum));
      Stream.of(step.inputs()).forEach(x -> readers.merge(x.storage(), 1, Integer::sum));
      if (step.op() instanceof GroupNorm || step.op() instanceof LayerNorm) {
        norms.putIfAbsent(step.inputs()[0].storage(), step);
      }
    }
  }

  /** The same steps with fewer passes. */
  static List<Step> of(Abilities abilities, List<Step> steps, Set<Storage> kept) {
    return new Completion(abilities, steps, kept).completed(steps);
  }

  private List<Step> completed(List<Step> steps) {
    List<Step> completed = new ArrayList<>();
    Set<Step> done = new HashSet<>();
    for (Step step : steps) {
      Step norm = norms.get(step.outputs()[0].storage());
      if (norm != null && joins(step, norm)) {
        done.add(norm);
        completed.add(together(step, norm));
      } else if (!done.contains(step)) {
        completed.add(step);
      }
    }
    return completed;
  }

  private boolean joins(Step layer, Step norm) {
    Tensor x = layer.outputs()[0];
    Tensor read = norm.inputs()[0];
    boolean fixed =
        Stream.of(norm.inputs())
            .skip(1)
            .allMatch(p -> !p.storage().isMeta() && !writers.containsKey(p.storage()));
    return abilities.of(layer).product()
        && !(layer.op() instanceof JoinedLayers)
        && x.size() < Integer.MAX_VALUE
        && fixed
        && x.storage().isMeta()
        && writers.get(x.storage()) == 1
        && x.type().bytes() == x.storage().bytes()
        && read.isContiguous()
        && read.size() == x.size()
        && read.dim(-1) == x.dim(-1);
  }

  private Step together(Step layer, Step norm) {
    Tensor[] inputs =
        Stream.concat(Stream.of(layer.inputs()), Stream.of(norm.inputs()).skip(1))
            .toArray(Tensor[]::new);
    Tensor[] outputs =
        Stream.concat(Stream.of(layer.outputs()), Stream.of(norm.outputs())).toArray(Tensor[]::new);
    Storage x = layer.outputs()[0].storage();
    Completed op =
        new Completed(
            layer.op(),
            norm.op(),
            kept.contains(x) || readers.get(x) > 1,
            Arrays.stream(outputs).map(Tensor::type).toList());
    return new Step(op, inputs, outputs, 0);
  }
}
