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
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.Linear;
import reverie.tensor.op.Op;
import reverie.tensor.spi.Step;

/**
 * Leaves the bias of a layer whose result is nothing but another layer's residual to that layer,
 * which adds it to what it reads: the result of a product needs no pass of its own then.
 */
final class Deferral {
  private final Abilities abilities;
  private final Set<Storage> written = new HashSet<>();

  /** What reads a piece of memory, once for each time. */
  private final Map<Storage, List<Step>> readers = new HashMap<>();

  private final Set<Storage> kept;

  private Deferral(Abilities abilities, List<Step> steps, Set<Storage> kept) {
    this.abilities = abilities;
    this.kept = kept;
    for (Step step : steps) {
      Stream.of(step.outputs()).map(Tensor::storage).forEach(written::add);
      for (Tensor x : step.inputs()) {
        readers.computeIfAbsent(x.storage(), _ -> new ArrayList<>()).add(step);
      }
    }
  }

  /** The same steps with fewer passes. */
  static List<Step> of(Abilities abilities, List<Step> steps, Set<Storage> kept) {
    return new Deferral(abilities, steps, kept).deferred(steps);
  }

  private List<Step> deferred(List<Step> steps) {
    List<Step> deferred = new ArrayList<>();
    Map<Storage, Tensor> biases = new HashMap<>();
    for (Step step : steps) {
      Tensor[] inputs = step.inputs();
      int residual = residual(step);
      Tensor bias = residual < 0 ? null : biases.get(inputs[residual].storage());
      if (bias != null) {
        deferred.add(adding(step, residual, bias));
      } else if (defers(step)) {
        biases.put(step.outputs()[0].storage(), inputs[2]);
        Tensor[] product = {inputs[0], inputs[1]};
        deferred.add(new Step(step.op(), product, step.outputs(), step.scratchBytes()));
      } else {
        deferred.add(step);
      }
    }
    return deferred;
  }

  /** Which input of a layer is its residual; −1 for none. */
  private static int residual(Step step) {
    int last = step.inputs().length - (isShifted(step) ? 2 : 1);
    Op op = Operations.bare(step.op());
    boolean there =
        (op instanceof Conv2d || op instanceof Linear) && last == 3
            || op instanceof FeedForward && last == 5;
    return there ? last : -1;
  }

  private static boolean isShifted(Step step) {
    return step.op() instanceof Arranged arranged && arranged.shifted();
  }

  private boolean defers(Step step) {
    boolean biased =
        (step.op() instanceof Conv2d || step.op() instanceof Linear) && step.inputs().length == 3;
    Tensor y = step.outputs()[0];
    List<Step> all = readers.getOrDefault(y.storage(), List.of());
    if (!biased || all.size() != 1 || kept.contains(y.storage()) || !y.storage().isMeta()) {
      return false;
    }
    Tensor bias = step.inputs()[2];
    Step reader = all.getFirst();
    int residual = residual(reader);
    Tensor read = residual < 0 ? null : reader.inputs()[residual];
    return read != null
        && read.storage() == y.storage()
        && read.isContiguous()
        && read.size() == y.size()
        && read.dim(-1) == y.dim(-1)
        && bias.shape().rank() == 1
        && !bias.storage().isMeta()
        && !written.contains(bias.storage())
        && abilities.of(step).product()
        && abilities.of(reader).product();
  }

  private static Step adding(Step step, int residual, Tensor bias) {
    Tensor[] own = Arrays.copyOf(step.inputs(), residual + 1);
    Stream<Tensor> common = Stream.of(step.inputs()).skip(own.length);
    Tensor[] inputs =
        Stream.of(Stream.of(own), Stream.of(bias), common)
            .flatMap(tensors -> tensors)
            .toArray(Tensor[]::new);
    Arranged arranged =
        new Arranged(
            Operations.bare(step.op()),
            true,
            isShifted(step),
            Stream.of(step.outputs()).map(Tensor::type).toList());
    return new Step(arranged, inputs, step.outputs(), step.scratchBytes());
  }
}
