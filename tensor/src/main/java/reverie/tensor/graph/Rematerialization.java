// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

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
import reverie.tensor.TensorType;
import reverie.tensor.op.Cost;
import reverie.tensor.op.CustomOp;
import reverie.tensor.spi.Step;

/**
 * Computes again what is cheaper to compute than to keep: a result that is needed early and late in
 * a captured step, and lies idle at the moment at which most memory is needed, is dropped in
 * between and made anew, from inputs that are there anyway. The same operation on the same inputs
 * gives the same bits.
 *
 * <p>In a training step these are the activations that only the gradients of the weights look at
 * (Chen et al. 2016), found without anybody marking them.
 */
final class Rematerialization {
  /**
   * Floating-point operations per byte of the result up to which computing it costs little more
   * than writing it: normalisation, activations, narrow linear layers.
   */
  private static final double CHEAP = 40;

  /** Smaller results are not worth the trouble. */
  private static final long MIN_BYTES = 1 << 16;

  private static final int ROUNDS = 8;

  /** About what blocks are aligned to. */
  private static final int ALIGNMENT = 64;

  private final Set<Storage> kept = new HashSet<>();
  private List<Step> steps;

  private Rematerialization(List<Step> steps, Tensor... results) {
    this.steps = steps;
    Stream.of(results).map(Tensor::storage).forEach(kept::add);
  }

  /**
   * The same steps with some of them repeated, in less memory.
   *
   * @param aboveBytes what a step may take before anything is computed twice
   */
  static List<Step> of(List<Step> steps, long aboveBytes, Tensor... results) {
    Rematerialization rematerialization = new Rematerialization(steps, results);
    Peak peak = peak(new Liveness(steps, results));
    long least = peak.bytes;
    if (least <= aboveBytes) {
      return steps;
    }
    List<Step> best = steps;
    for (int round = 0; round < ROUNDS; round++) {
      if (!rematerialization.round(peak.step)) {
        break;
      }
      Peak now = peak(new Liveness(rematerialization.steps, results));
      if (now.bytes < least) {
        least = now.bytes;
        best = rematerialization.steps;
      }
      peak = now;
    }
    return best;
  }

  private record Peak(int step, long bytes) {}

  /** Where most memory is needed. */
  private static Peak peak(Liveness liveness) {
    List<MemoryPlan.Block> blocks = liveness.blocks();
    int end = blocks.stream().mapToInt(MemoryPlan.Block::last).max().orElse(0) + 2;
    long[] change = new long[end];
    for (MemoryPlan.Block block : blocks) {
      change[block.first()] += block.room(ALIGNMENT);
      change[block.last() + 1] -= block.room(ALIGNMENT);
    }
    Peak most = new Peak(0, 0);
    long live = 0;
    for (int i = 0; i < end; i++) {
      live += change[i];
      if (live > most.bytes) {
        most = new Peak(i, live);
      }
    }
    return most;
  }

  /** When each piece of memory is written and read. */
  private record Uses(Map<Storage, List<Integer>> all, Map<Storage, List<Integer>> writes) {
    static Uses of(List<Step> steps) {
      Uses uses = new Uses(new HashMap<>(), new HashMap<>());
      for (int i = 0; i < steps.size(); i++) {
        for (Tensor t : steps.get(i).inputs()) {
          uses.all.computeIfAbsent(t.storage(), _ -> new ArrayList<>()).add(i);
        }
        for (Tensor t : steps.get(i).outputs()) {
          uses.all.computeIfAbsent(t.storage(), _ -> new ArrayList<>()).add(i);
          uses.writes.computeIfAbsent(t.storage(), _ -> new ArrayList<>()).add(i);
        }
      }
      return uses;
    }

    /** The first use after a moment, or −1. */
    int next(Storage storage, int moment) {
      return all.get(storage).stream().filter(i -> i > moment).findFirst().orElse(-1);
    }

    int last(Storage storage) {
      return all.get(storage).getLast();
    }

    boolean writtenBetween(Storage storage, int from, int to) {
      return writes.getOrDefault(storage, List.of()).stream().anyMatch(i -> i >= from && i < to);
    }
  }

  /** Drops what lies idle at the peak; the consumers first, so that chains are made anew whole. */
  private boolean round(int peak) {
    boolean changed = false;
    Uses uses = Uses.of(steps);
    for (int i = Math.min(peak, steps.size()) - 1; i >= 0; i--) {
      int until = uses.next(steps.get(i).outputs()[0].storage(), peak);
      if (until > 0 && worthwhile(steps.get(i), i, peak, until, uses)) {
        repeat(i, until);
        uses = Uses.of(steps);
        changed = true;
      }
    }
    return changed;
  }

  private boolean worthwhile(Step step, int index, int peak, int until, Uses uses) {
    Tensor output = step.outputs()[0];
    Storage storage = output.storage();
    boolean own =
        storage.isMeta()
            && !kept.contains(storage)
            && storage.bytes() == output.type().bytes()
            && storage.bytes() >= MIN_BYTES
            && uses.writes.get(storage).equals(List.of(index))
            && !uses.all.get(storage).contains(peak);
    return own
        && Stream.of(step.inputs())
            .map(Tensor::storage)
            .allMatch(input ->
                !uses.writtenBetween(input, index, until)
                    && (!input.isMeta() || uses.last(input) >= until || kept.contains(input)))
        && cheap(step);
  }

  private static boolean cheap(Step step) {
    if (step.op() instanceof CustomOp) {
      return false; // nobody knows
    }
    List<TensorType> types = Arrays.stream(step.inputs()).map(Tensor::type).toList();
    return types.stream().anyMatch(t -> t.shape().size() > 0)
        && Cost.of(step.op(), types).flops() <= CHEAP * step.outputs()[0].type().bytes();
  }

  /** Inserts a step again before a later use, which together with all after it reads the copy. */
  private void repeat(int index, int until) {
    Step step = steps.get(index);
    Tensor[] fresh =
        Stream.of(step.outputs())
            .map(t -> t.withStorage(Storage.meta(t.storage().bytes())))
            .toArray(Tensor[]::new);
    Storage old = step.outputs()[0].storage();
    List<Step> out = new ArrayList<>(steps.subList(0, until));
    out.add(new Step(step.op(), step.inputs(), fresh, step.scratchBytes()));
    for (Step later : steps.subList(until, steps.size())) {
      Tensor[] inputs =
          Stream.of(later.inputs())
              .map(t -> t.storage() == old ? t.withStorage(fresh[0].storage()) : t)
              .toArray(Tensor[]::new);
      out.add(new Step(later.op(), inputs, later.outputs(), later.scratchBytes()));
    }
    steps = out;
  }
}
