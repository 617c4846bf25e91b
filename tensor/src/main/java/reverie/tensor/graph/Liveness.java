// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import reverie.tensor.Storage;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.spi.Step;

/**
 * From which operation to which each piece of memory made in a captured step is needed. A result
 * that may be written over an input takes the input's memory if nobody reads that any more.
 */
final class Liveness {
  /** Memory of one or more tensors, one after the other. */
  private static final class Span {
    private final long bytes;
    private final int first;
    private int last;

    Span(long bytes, int first) {
      this.bytes = bytes;
      this.first = first;
    }
  }

  private final Map<Storage, Span> spans = new LinkedHashMap<>();
  private final Map<Storage, Integer> lastUses = new LinkedHashMap<>();
  private final Map<Storage, Tensor> outside = new LinkedHashMap<>();
  private final List<MemoryPlan.Block> blocks = new ArrayList<>();
  private final Map<Storage, Integer> places = new LinkedHashMap<>();
  private final int[] scratch;

  Liveness(List<Step> steps, Tensor... results) {
    for (int i = 0; i < steps.size(); i++) {
      for (Tensor t : used(steps.get(i))) {
        lastUses.put(t.storage(), i);
        if (!t.storage().isMeta()) {
          outside.putIfAbsent(t.storage(), t);
        }
      }
    }
    for (Tensor result : results) {
      lastUses.put(result.storage(), steps.size());
    }
    for (int i = 0; i < steps.size(); i++) {
      for (Tensor output : steps.get(i).outputs()) {
        place(steps.get(i), i, output);
      }
    }
    Map<Span, Integer> numbers = new LinkedHashMap<>();
    spans.forEach((storage, span) ->
        places.put(
            storage,
            numbers.computeIfAbsent(
                span,
                s -> {
                  blocks.add(new MemoryPlan.Block(s.bytes, s.first, s.last));
                  return blocks.size() - 1;
                })));
    scratch = new int[steps.size()];
    Arrays.fill(scratch, -1);
    for (int i = 0; i < scratch.length; i++) {
      if (steps.get(i).scratchBytes() > 0) {
        scratch[i] = blocks.size();
        blocks.add(new MemoryPlan.Block(steps.get(i).scratchBytes(), i, i));
      }
    }
  }

  private static List<Tensor> used(Step step) {
    return Stream.concat(Stream.of(step.inputs()), Stream.of(step.outputs())).toList();
  }

  private void place(Step step, int index, Tensor output) {
    Storage storage = output.storage();
    if (!storage.isMeta() || spans.containsKey(storage)) {
      return;
    }
    Span span = inherited(step, index, output);
    if (span == null) {
      span = new Span(storage.bytes(), index);
    }
    span.last = lastUses.get(storage);
    spans.put(storage, span);
  }

  /** The memory of an input that dies here and may be written over; else null. */
  private Span inherited(Step step, int index, Tensor output) {
    if (!step.op().mayOverwrite() || output != step.outputs()[0]) {
      return null;
    }
    for (Tensor input : step.inputs()) {
      Storage storage = input.storage();
      if (storage.isMeta()
          && lastUses.get(storage) == index
          && storage.bytes() == output.storage().bytes()
          && Stream.of(step.inputs())
              .allMatch(t -> t.storage() != storage || covers(t, output.type()))) {
        return spans.get(storage);
      }
    }
    return null;
  }

  private static boolean covers(Tensor t, TensorType type) {
    return t.offset() == 0 && t.isContiguous() && t.type().equals(type);
  }

  /** What the memory plan is to place. */
  List<MemoryPlan.Block> blocks() {
    return blocks;
  }

  /** The number of the block in which each piece of memory lies. */
  Map<Storage, Integer> places() {
    return places;
  }

  /** The number of an operation's scratch, or −1. */
  int scratch(int step) {
    return scratch[step];
  }

  /** One tensor for each piece of memory that was there before. */
  List<Tensor> outside() {
    return List.copyOf(outside.values());
  }

  /** Bytes of all that was made inside, if nothing shared memory. */
  long requestedBytes() {
    return spans.keySet().stream().mapToLong(Storage::bytes).sum();
  }
}
