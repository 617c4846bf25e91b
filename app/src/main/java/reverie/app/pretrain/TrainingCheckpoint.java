// SPDX-License-Identifier: Apache-2.0
package reverie.app.pretrain;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
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
 *
 * @param identity what else the rest of the run depends on
 */
record TrainingCheckpoint(TrainingStep step, Map<String, String> identity) {
  private static final String STEPS = "steps";
  private static final String SETUP = "setup.";

  /** Writes the state after {@code step.steps()} steps. */
  void write(Path file) {
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
    step.state()
        .tensors()
        .forEach((name, tensor) -> entries.put(name, Safetensors.Entry.of(tensor)));
    Map<String, String> metadata = new TreeMap<>();
    metadata.put(STEPS, Long.toString(step.steps()));
    identity.forEach((name, value) -> metadata.put(SETUP + name, value));
    Safetensors.writeChecked(file, entries, metadata);
  }

  /**
   * Takes over a written state.
   *
   * @param most steps of the whole run
   * @return steps made
   * @throws ReverieException if the file is damaged, of another model, naming the tensor, or of a
   *     run that depends on something else
   */
  long read(Path file, long most) {
    try (Safetensors saved = Safetensors.openChecked(file);
        Scope _ = Scope.open("checkpoint")) {
      requireSame(file, saved.metadata());
      long steps = steps(file, saved, most);
      Map<String, Tensor> state = new LinkedHashMap<>();
      TrainingState own = step.state();
      own.tensors().forEach((name, target) -> state.put(name, tensor(file, saved, name, target)));
      Map<String, Long> counters = new LinkedHashMap<>(own.counters());
      counters.replaceAll((_, _) -> steps);
      step.restore(new TrainingState(state, counters));
      return steps;
    }
  }

  private void requireSame(Path file, Map<String, String> metadata) {
    identity.forEach((name, now) -> {
      String then = metadata.get(SETUP + name);
      if (!now.equals(then)) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "checkpoint: '%s' was written by a run with another %s:\n  then %s\n  now  %s",
                file,
                name,
                then,
                now),
            "put back what it was begun with, or start a new run");
      }
    });
  }

  private static long steps(Path file, Safetensors saved, long most) {
    String steps = saved.metadata().get(STEPS);
    if (steps == null || !steps.matches("\\d{1,18}") || Long.parseLong(steps) > most) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "checkpoint: '%s': expected to hear after how many of %d steps it was written, got %s",
              file,
              most,
              steps),
          "it is no checkpoint of this run; delete it to begin again");
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
