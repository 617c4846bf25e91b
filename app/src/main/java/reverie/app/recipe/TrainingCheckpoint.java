// SPDX-License-Identifier: Apache-2.0
package reverie.app.recipe;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.autograd.optim.AdamW;
import reverie.autograd.optim.Ema;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.io.Safetensors;

/**
 * The whole state of a pretraining run between two steps: weights, their running average, the
 * optimizer's moments and the number of steps made. Random numbers need no state, they are
 * addressed by the step. One file, replaced atomically.
 */
record TrainingCheckpoint(Parameters parameters, Ema ema, AdamW optimizer) {
  private static final String WEIGHT = "weight.";
  private static final String AVERAGE = "average.";
  private static final String STEPS = "steps";

  /** Writes the state after {@code optimizer.steps()} steps. */
  void write(Path file) {
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
    tensors().forEach((name, tensor) -> entries.put(name, Safetensors.Entry.of(tensor)));
    Safetensors.writeChecked(file, entries, Map.of(STEPS, Long.toString(optimizer.steps())));
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
      tensors().forEach((name, target) -> state.put(name, tensor(file, saved, name, target)));
      state.forEach((name, source) -> tensors().get(name).assign(source));
      optimizer.restore(state, steps);
      ema.restore(ema.parameters(), steps);
      return steps;
    }
  }

  private Map<String, Tensor> tensors() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (Parameter p : parameters.all()) {
      tensors.put(WEIGHT + p.name(), p.value());
    }
    for (Parameter p : ema.parameters().all()) {
      tensors.put(AVERAGE + p.name(), p.value());
    }
    tensors.putAll(optimizer.state());
    return tensors;
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
