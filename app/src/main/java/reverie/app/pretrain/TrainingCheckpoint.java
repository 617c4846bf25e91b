// SPDX-License-Identifier: Apache-2.0
package reverie.app.pretrain;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import reverie.autograd.optim.TrainingState;
import reverie.autograd.optim.TrainingStep;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.io.Safetensors;

/**
 * The whole state of a pretraining run between two steps: weights, their running average, the
 * optimizer's moments and the number of steps made. Random numbers need no state, they are
 * addressed by the step. One file, replaced atomically.
 */
record TrainingCheckpoint(TrainingStep step) {
  private static final String STEPS = "steps";

  /** Writes the state after {@code step.steps()} steps. */
  void write(Path file) {
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
    step.state()
        .tensors()
        .forEach((name, tensor) -> entries.put(name, Safetensors.Entry.of(tensor)));
    Safetensors.writeChecked(file, entries, Map.of(STEPS, Long.toString(step.steps())));
  }

  /**
   * Takes over a written state.
   *
   * @return steps made
   * @throws ReverieException if the file is damaged or of another model, naming the tensor
   */
  long read(Path file) {
    try (Safetensors saved = Safetensors.openChecked(file);
        Scope _ = Scope.open("checkpoint")) {
      long steps = steps(file, saved);
      Map<String, Tensor> state = new LinkedHashMap<>();
      TrainingState own = step.state();
      own.tensors().forEach((name, target) -> state.put(name, tensor(file, saved, name, target)));
      Map<String, Long> counters = new LinkedHashMap<>(own.counters());
      counters.replaceAll((_, _) -> steps);
      step.restore(new TrainingState(state, counters));
      return steps;
    }
  }

  private static long steps(Path file, Safetensors saved) {
    String steps = saved.metadata().get(STEPS);
    if (steps == null || !steps.matches("\\d{1,18}")) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "checkpoint: '%s' does not say after how many steps it was written",
              file),
          "it is no checkpoint of reverie pretrain; delete it to begin again");
    }
    return Long.parseLong(steps);
  }

  private static Tensor tensor(Path file, Safetensors saved, String name, Tensor target) {
    if (!saved.names().contains(name) || !saved.shape(name).equals(target.shape())) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "checkpoint: '%s' should hold %s %s, but has %s",
              file,
              name,
              target.shape(),
              saved.names().contains(name) ? saved.shape(name) : "none"),
          "it belongs to another model; resume with the configuration the run was started with");
    }
    if (!saved.isFinite(name)) {
      throw new ReverieException(
          String.format(Locale.ROOT, "checkpoint: '%s': %s holds NaN or infinity", file, name),
          "the file was changed by hand or damaged; delete it to begin again");
    }
    return saved.tensor(name, target.device());
  }
}
