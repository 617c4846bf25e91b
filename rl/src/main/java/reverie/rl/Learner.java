// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntConsumer;
import reverie.autograd.optim.GradientAccumulator;
import reverie.rl.objective.ChainObjective;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.objective.StepObjective;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * What one kind of objective keeps from epoch to epoch, its captured passes, and the driver that it
 * makes of them for an epoch.
 */
interface Learner extends AutoCloseable {
  /** The driver of one epoch. */
  Driver driver(
      Rollout rollout, double[] advantages, Diagnostics diagnostics, IntConsumer progress);

  /** Learns what else there is to learn from an epoch, once its updates are made. */
  default void conclude(Rollout rollout, double[] advantages, int epoch, Diagnostics diagnostics) {}

  /** What changes from epoch to epoch besides the policy, for the run's state; not copies. */
  default Map<String, Tensor> tensors() {
    return Map.of();
  }

  /** The same as whole numbers. */
  default Map<String, Long> counters() {
    return Map.of();
  }

  /** Takes both up from a state that has them. */
  default void restore(TrainerState state) {}

  /** Why a pass cannot be captured; empty if all can, or were not made yet. */
  Optional<String> captureFailure();

  @Override
  void close();

  /** The learner of an objective that {@link #requireFit fits}. */
  static Learner of(
      Policy policy,
      RolloutObjective objective,
      TrainerSettings settings,
      GradientAccumulator gradients) {
    return switch (objective) {
      case StepObjective steps ->
          new Steps(
              policy,
              steps,
              settings,
              new StepGradient(policy, steps, settings.klWeight(), gradients),
              steps
                  .baseline()
                  .map(value -> new ValueBaseline(policy, value, settings.seed()))
                  .orElse(null));
      case ChainObjective chains ->
          new Chains(policy, chains, settings, ChainPasses.of(policy, settings, gradients));
      case DenoisingObjective denoising ->
          new Denoising(policy, denoising, settings, new DenoisingGradient(policy, gradients));
    };
  }

  /**
   * Checks that policy, objective and settings fit together.
   *
   * @throws ReverieException if not
   */
  static void requireFit(Policy policy, RolloutObjective objective, TrainerSettings settings) {
    if (settings.klWeight() > 0 && policy.reference() == null) {
      throw new ReverieException(
          "trainer: klWeight is " + settings.klWeight() + " but the policy has no reference model",
          "give the policy a frozen copy of the model, or its LoRA switched off");
    }
    if (settings.offline()) {
      requireOffline(policy, objective);
    }
    switch (objective) {
      case StepObjective _ -> policy.process().requireDecisions(objective.name());
      case ChainObjective _ -> requireChains(policy, objective, settings);
      case DenoisingObjective _ -> requireNoKl(objective, settings);
    }
  }

  private static void requireChains(
      Policy policy, RolloutObjective objective, TrainerSettings settings) {
    String name = objective.name();
    policy.process().requireDecisions(name);
    if (policy.reference() == null) {
      throw new ReverieException(
          name + ": the policy has no reference model to compare with",
          "give the policy a frozen copy of the model, or its LoRA switched off");
    }
    if (settings.samplesPerPrompt() < 2) {
      throw new ReverieException(
          name + ": compares samples of one prompt, but each prompt gets 1",
          "set samplesPerPrompt to 2 or more");
    }
    if (settings.promptsPerEpoch() % settings.updatesPerEpoch() != 0) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "%s: the %d prompts of an epoch do not divide into %d updates, and their samples belong together",
              name,
              settings.promptsPerEpoch(),
              settings.updatesPerEpoch()),
          "let the number of updates divide that of the prompts");
    }
    if (settings.stepFraction() < 1) {
      throw new ReverieException(
          name + ": looks at whole chains, but stepFraction is " + settings.stepFraction(),
          "set stepFraction to 1");
    }
  }

  private static void requireOffline(Policy policy, RolloutObjective objective) {
    if (objective instanceof StepObjective) {
      throw new ReverieException(
          objective.name() + ": learns from samples of the policy itself, but the run is offline",
          "set offline to false, or learn by an objective that compares samples: ppod, prdp");
    }
    if (policy.reference() == null) {
      throw new ReverieException(
          "trainer: the run is offline, but the policy has no reference model to draw samples",
          "give the policy a frozen copy of the model, or its LoRA switched off");
    }
  }

  private static void requireNoKl(RolloutObjective objective, TrainerSettings settings) {
    if (settings.klWeight() > 0) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "trainer: klWeight is %s but %s looks at no decisions of the chain",
              settings.klWeight(),
              objective.name()),
          "set klWeight to 0");
    }
  }

  /**
   * One decision at a time.
   *
   * @param baseline may be null
   */
  record Steps(
      Policy policy,
      StepObjective objective,
      TrainerSettings settings,
      StepGradient gradient,
      ValueBaseline baseline)
      implements Learner {
    @Override
    public Driver driver(
        Rollout rollout, double[] advantages, Diagnostics diagnostics, IntConsumer progress) {
      double[][] values = baseline == null ? null : baseline.values(rollout);
      return new StepDriver(
          policy,
          objective,
          gradient,
          settings,
          rollout,
          advantages,
          values,
          diagnostics,
          progress);
    }

    @Override
    public void conclude(Rollout rollout, double[] advantages, int epoch, Diagnostics diagnostics) {
      if (baseline != null) {
        baseline.fit(rollout, advantages, epoch, diagnostics);
      }
    }

    @Override
    public Map<String, Tensor> tensors() {
      return baseline == null ? Map.of() : baseline.tensors();
    }

    @Override
    public Map<String, Long> counters() {
      return baseline == null ? Map.of() : baseline.counters();
    }

    @Override
    public void restore(TrainerState state) {
      if (baseline != null) {
        baseline.restore(state);
      }
    }

    @Override
    public Optional<String> captureFailure() {
      return gradient
          .captureFailure()
          .or(() -> baseline == null ? Optional.empty() : baseline.captureFailure());
    }

    @Override
    public void close() {
      gradient.close();
      if (baseline != null) {
        baseline.close();
      }
    }
  }

  /** Whole chains, in two passes. */
  record Chains(
      Policy policy, ChainObjective objective, TrainerSettings settings, ChainPasses passes)
      implements Learner {
    @Override
    public Driver driver(
        Rollout rollout, double[] advantages, Diagnostics diagnostics, IntConsumer progress) {
      return new ChainDriver(policy, objective, passes, settings, rollout, diagnostics, progress);
    }

    @Override
    public Optional<String> captureFailure() {
      return passes.captureFailure();
    }

    @Override
    public void close() {
      passes.close();
    }
  }

  /** Finished samples. */
  record Denoising(
      Policy policy,
      DenoisingObjective objective,
      TrainerSettings settings,
      DenoisingGradient gradient)
      implements Learner {
    @Override
    public Driver driver(
        Rollout rollout, double[] advantages, Diagnostics diagnostics, IntConsumer progress) {
      return new DenoisingDriver(
          policy, objective, gradient, settings, rollout, diagnostics, progress);
    }

    @Override
    public Optional<String> captureFailure() {
      return gradient.captureFailure();
    }

    @Override
    public void close() {
      gradient.close();
    }
  }
}
