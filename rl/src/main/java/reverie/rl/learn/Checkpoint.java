// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import reverie.autograd.optim.TrainingState;
import reverie.autograd.optim.TrainingStep;
import reverie.rl.Policy;
import reverie.rl.objective.Objective;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** A run's whole state to a file and back, and what must be the same for the run to go on. */
final class Checkpoint {
  private final Policy policy;
  private final Objective objective;
  private final TrainerSettings settings;
  private final Experience experience;
  private final Resumable parts;
  private final Map<String, String> identity = new LinkedHashMap<>();

  /**
   * The checkpoint of a run.
   *
   * @param position how far it has come
   */
  Checkpoint(
      Policy policy,
      Objective objective,
      TrainerSettings settings,
      Resumable position,
      TrainingStep step,
      Experience experience) {
    this.policy = policy;
    this.objective = objective;
    this.settings = settings;
    this.experience = experience;
    parts = Resumable.all(position, new Training(step), experience);
  }

  /** Names what else the rest of the run depends on. */
  void identify(Map<String, String> more) {
    identity.putAll(more);
  }

  /** Writes everything, or leaves the file that is there. */
  void save(Path file, Map<String, Double> notes) {
    new TrainerState(fingerprint(), parts.counters(), parts.numbers(), notes, parts.tensors())
        .write(file);
  }

  /**
   * Restores everything, or nothing if the file does not fit.
   *
   * @return the notes that were saved with it
   */
  Map<String, Double> resume(Path file) {
    try (Scope _ = Scope.open("resume")) {
      TrainerState state =
          TrainerState.read(
              file, policy.device(), fingerprint(), parts.counters().keySet(), parts.tensors());
      requireCounted(file, state.counters());
      parts.restore(state);
      return state.notes();
    }
  }

  /** An epoch makes a known number of updates, so that wrong counters show. */
  private void requireCounted(Path file, Map<String, Long> counters) {
    long made = counters.get("updates");
    long epochs = counters.get("epoch");
    long average = counters.get(TrainingStep.AVERAGE_UPDATES);
    long each = (long) settings.passes() * settings.updatesPerEpoch();
    if (epochs > Integer.MAX_VALUE
        || made != epochs * each
        || counters.get(TrainingStep.STEPS) != made
        || average != (settings.emaDecay() > 0 ? made : 0)) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "resume: %s: its counters contradict each other: %s, with %d updates an epoch",
              file,
              counters,
              each),
          "the file was changed by hand or damaged");
    }
  }

  /** Everything besides the weights on which the rest of the run depends. */
  private Map<String, String> fingerprint() {
    Map<String, String> fingerprint = new LinkedHashMap<>();
    fingerprint.put("objective", objective.toString());
    fingerprint.putAll(experience.fingerprint());
    fingerprint.putAll(settings.described());
    fingerprint.putAll(identity);
    fingerprint.put(TrainerState.KERNELS, policy.device().identity());
    fingerprint.put("trained", Integer.toString(policy.parameters().trainable().size()));
    return fingerprint;
  }

  /** Weights, moments and the average. */
  private record Training(TrainingStep step) implements Resumable {
    @Override
    public Map<String, Tensor> tensors() {
      return step.state().tensors();
    }

    @Override
    public Map<String, Long> counters() {
      return step.state().counters();
    }

    @Override
    public void restore(TrainerState state) {
      step.restore(new TrainingState(state.tensors(), state.counters()));
    }
  }
}
