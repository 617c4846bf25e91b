// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import reverie.tensor.Tensor;

/** A part of a run that changes from epoch to epoch and is saved with it. */
interface Resumable {
  /** The tensors that change, not copies. Their names and types are the same at any time. */
  default Map<String, Tensor> tensors() {
    return Map.of();
  }

  /** The whole numbers that change. Their names are the same at any time. */
  default Map<String, Long> counters() {
    return Map.of();
  }

  /** Other numbers, under names that may come and go. */
  default Map<String, double[]> numbers() {
    return Map.of();
  }

  /** Takes all of them up from a state that has every tensor and counter. */
  default void restore(TrainerState state) {}

  /** Several parts as one. */
  static Resumable all(Resumable... parts) {
    List<Resumable> list = List.copyOf(Arrays.asList(parts));
    return new Resumable() {
      @Override
      public Map<String, Tensor> tensors() {
        Map<String, Tensor> all = new LinkedHashMap<>();
        list.forEach(part -> all.putAll(part.tensors()));
        return all;
      }

      @Override
      public Map<String, Long> counters() {
        Map<String, Long> all = new LinkedHashMap<>();
        list.forEach(part -> all.putAll(part.counters()));
        return all;
      }

      @Override
      public Map<String, double[]> numbers() {
        Map<String, double[]> all = new LinkedHashMap<>();
        list.forEach(part -> all.putAll(part.numbers()));
        return all;
      }

      @Override
      public void restore(TrainerState state) {
        list.forEach(part -> part.restore(state));
      }
    };
  }
}
